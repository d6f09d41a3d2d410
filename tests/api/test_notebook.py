"""The notebook of the docs, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import draw_pairs, recode

ROOT = Path(__file__).resolve().parents[2]
#: put in the place of the notebook's own numbers
TOY = """
from tests.conftest import TOY_STUDENT
from tests.quick_export import quick

exporter = quick()
exporter.__enter__()
data, out, size, budget = "pairs", "run", 24, "2M"
settings = dict(word.split("=", 1) for word in TOY_STUDENT if "=" in word and not word.startswith("space"))
settings |= {"teaching.constant": 1, "teaching.decay": 0}
"""


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for mask in (draw_pairs(tmp_path / "pairs") / "A").iterdir():
        recode(mask, "gray")
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    (numbers,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    numbers.source = TOY
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert "compressed" in printed
    assert "largest difference to PyTorch" in printed
    assert [output.data["image/png"][:4] for output in outputs if "data" in output] == ["iVBO", "iVBO"]
    assert (tmp_path / "run-small.onnx").is_file()
    told = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert "search" in told, "progress is a line now and then"
    assert "\x1b" not in told
