"""A whole recipe on two devices: what one device makes of it."""

import json
import shutil
from pathlib import Path

import pytest

from pocketgan.training.log import read_log
from tests.conftest import ToyRun, call_main

#: kinds of stages that are shared
SHARED = ("train", "distil", "search", "evaluate")


def stages(run: Path, kind: str) -> list[Path]:
    return sorted((run / "stages").glob(f"{kind}-*"))


@pytest.mark.usefixtures("real_features")
def test_a_run_on_two_devices_is_one_on_one(toy_run: ToyRun, tmp_path, capfd):
    """But for the order in which sums are rounded. What is not shared is taken as it is."""
    run, alone = tmp_path / "run", tmp_path / "alone"
    shutil.copytree(toy_run.folder, alone)
    for kind in ("search", "evaluate", "pick"):
        # these looked at smaller images than other processes do
        for stage in stages(alone, kind):
            shutil.rmtree(stage)
    words = tuple(str(alone) if word == str(toy_run.folder) else word for word in toy_run.words)
    assert call_main(*words, "--quiet") == 0
    toy_run = toy_run._replace(folder=alone, words=words)
    capfd.readouterr()
    shutil.copytree(alone, run)
    for kind in SHARED:
        for stage in stages(run, kind):
            shutil.rmtree(stage)
    words = [str(run) if word == str(toy_run.folder) else word for word in toy_run.words]
    assert call_main(*words, "--quiet", "--devices", "2") == 0
    assert capfd.readouterr() == (f"{run / 'report.html'}\n", "")

    for kind in SHARED:
        names = [stage.name for stage in stages(toy_run.folder, kind)]
        assert [stage.name for stage in stages(run, kind)] == names != []
    for wanted, found in ((folder, run / "stages" / folder.name) for folder in stages(toy_run.folder, "*")):
        if (wanted / "log.jsonl").exists():
            for one, two in zip(read_log(wanted / "log.jsonl"), read_log(found / "log.jsonl"), strict=True):
                assert {**one, "images_per_second": 0} == pytest.approx({**two, "images_per_second": 0}, abs=1e-4)
        files = [path.relative_to(wanted) for path in sorted((wanted / "artifact").rglob("*"))]
        assert [path.relative_to(found) for path in sorted((found / "artifact").rglob("*"))] == files
    rows = [json.loads((folder / "report.json").read_text())["rows"] for folder in (toy_run.folder, run)]
    for one, two in zip(*rows, strict=True):
        assert one["scores"] == pytest.approx(two["scores"], rel=1e-3)
    search = [
        json.loads((*folder.glob("stages/search-*/artifact/result.json"),)[0].read_text())
        for folder in (toy_run.folder, run)
    ]
    for one, two in zip(*(each["candidates"] for each in search), strict=True):
        assert (one["genome"], one["costs"]) == (two["genome"], two["costs"])
        assert one["scores"] == pytest.approx(two["scores"], rel=1e-3)
