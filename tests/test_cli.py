"""The command line as a user meets it: verbs, options, figures, files."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from pocketgan import __version__
from pocketgan import cli as command_line
from pocketgan.catalog.catalog import ENTRIES
from tests.conftest import TOY_DEMO, Outcome, ToyRun, printed

Cli = Callable[..., Outcome]
COMMANDS = typer.main.get_command(command_line.app).commands

#: what users write in their scripts: changed on purpose only
OPTIONS = {
    "doctor": "--json",
    "compress": "--address --budget --channels --classes --crop --device --devices --direction --discriminator "
    "--effort --flip --generator --json --load-size --method --model --node --nodes --out --precision --quiet "
    "--range --rotate --runtime --set --size --storage --store --targets --teacher --teacher-weights --unlabelled "
    "--unpaired --weights --yes -o -q data",
    "evaluate": "--also --classes --device --direction --json --metrics --out --protocol --segmenter --size "
    "--split --statistics --teacher --unpaired --weights -o data model",
    "demo": "--data --port --quiet --static -q model",
    "export": "--data --fixed --format --out --overwrite --precision --size -o model",
    "fold": "--data --device --images --json --out --quiet --set --size --yes -o -q model",
    "import": "--assume --json --labels --network --out --range --size -o file",
    "list": "--json",
    "pick": "--budget --data --device --json --out --quiet --weights -o -q run",
    "plan": "--address --budget --channels --classes --crop --data --device --devices --direction --discriminator "
    "--effort --flip --generator --json --load-size --method --model --node --nodes --out --precision --range "
    "--rotate --runtime --set --size --store --targets --teacher --teacher-weights --unlabelled --unpaired "
    "--weights -o recipe",
    "prepare": "--from --json --list --out --quiet --yes -o -q task",
    "profile": "--json --layers --runtime --size --threads model",
    "report": "--data run",
    "run": "--address --budget --data --device --devices --json --node --nodes --out --precision --quiet --runtime "
    "--set --size --storage --store --unpaired --weights --yes -o -q recipe",
    "store": "--json --keep --yes action place",
    "study": "--crop --device --direction --flip --json --list --load-size --out --precision --quiet --rotate "
    "--seconds --seeds --size --unpaired --width -o -q data name",
    "translate": "--device --dropout-seed --instances --out --overwrite --quiet --range --size "
    "--style-seed --tile -o -q images model",
    "worker": "--data --device --quiet --storage --store --weights -q run",
}


# -- help --------------------------------------------------------------------------------------------------------


def test_the_options_of_every_verb():
    found = {
        name: " ".join(
            sorted(
                option
                for parameter in command.params
                for option in (parameter.opts if parameter.param_type_name == "option" else [parameter.name])
            )
        )
        for name, command in COMMANDS.items()
    }
    assert found == OPTIONS


@pytest.mark.parametrize("verb", OPTIONS)
def test_help_of_every_verb(cli: Cli, verb: str):
    text = " ".join(printed(cli(verb, "--help")).split())
    assert f"Usage: pocketgan {verb} " in text
    assert f"Example: pocketgan {verb}" in text


@pytest.mark.parametrize("verb", OPTIONS)
def test_the_example_of_every_verb_is_well_formed(verb: str):
    example = shlex.split(COMMANDS[verb].epilog.removeprefix("Example: pocketgan "))
    assert example[0] == verb
    COMMANDS[verb].make_context(verb, example[1:])


def test_help_and_version(cli: Cli):
    text = printed(cli("--help"))
    assert all(verb in text for verb in OPTIONS)
    assert printed(cli()) == text, "no words at all ask for help"
    assert printed(cli("--version")) == f"{__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["compress", "--help"], ["compres"], ["compress"]])
def test_help_and_usage_errors_do_not_wait_for_torch(words: list[str]):
    code = (
        "import sys; from pocketgan.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (None, 0, 2), end.code\n"
        "heavy = {'torch', 'numpy', 'PIL', 'optuna', 'onnxruntime', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_reader_that_leaves():
    """As in `pocketgan --version | true`: no traceback."""
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "pocketgan.cli", "--version"]
    with os.fdopen(write, "wb") as pipe:
        ended = subprocess.run(words, stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_the_entry_point():
    """`pocketgan` and `python -m pocketgan.cli` are the same program."""
    script = Path(sys.executable).with_name("pocketgan")
    if not script.exists():
        pytest.skip("the package is not installed as a command")
    assert subprocess.run([script, "--version"], capture_output=True, text=True).stdout == f"{__version__}\n"


# -- list and plan -----------------------------------------------------------------------------------------------


def test_list(cli: Cli):
    rows = json.loads(printed(cli("list", "--json")))
    assert [row["name"] for row in rows] == list(ENTRIES)
    assert {tuple(row) for row in rows} == {("name", "task", "method", "budget", "about", "command", "published")}
    named = {row["name"]: row for row in rows}
    assert named["fast-edges2shoes-r"]["published"] == {"params": 702_835, "macs": 4.83e9, "fid": 25.76}
    assert named["gaugan-cityscapes"]["command"] == "pocketgan run gaugan-cityscapes --data cityscapes-originals"
    assert {row["method"] for row in rows} == {"gan-compression", "fast-gan-compression", "omgd", "in-place"}
    text = printed(cli("list"))
    assert all(row["name"] in text and row["budget"] in text for row in rows)


def test_plan(cli: Cli, tmp_path: Path):
    words = ("plan", "demo", "--out", tmp_path / "out", *TOY_DEMO)
    plan = json.loads(printed(cli(*words, "--json")))
    assert plan.keys() == {"recipe", "digest", "stages", "seconds_left"}
    assert plan["recipe"] == "demo"
    names = [stage["stage"] for stage in plan["stages"]]
    assert names == ["supernet", "search", "subnet", *names[3:]]
    assert {"scores of the compressed", "export of the compressed"} <= set(names)
    assert {tuple(stage) for stage in plan["stages"]} == {("stage", "status", "seconds_left", "digest")}
    assert {stage["status"] for stage in plan["stages"]} == {"missing"}
    assert plan["seconds_left"] == pytest.approx(sum(stage["seconds_left"] for stage in plan["stages"]), abs=0.5)
    assert plan["seconds_left"] > 0
    text = printed(cli(*words))
    assert "budget 166 M MACs, 96 pixels" in text
    assert all(name in text for name in names)
    assert list(tmp_path.iterdir()) == [], "a plan writes nothing"


# -- profile -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "params", "macs", "true_macs"),
    [
        ("resnet:64", 11_378_179, 56_831_770_624, 49_551_507_456),
        ("mobile-resnet:32_32_48_32_48_48_16_16", 822_051, 4_993_843_200, None),
    ],
)
def test_profile(cli: Cli, spec: str, params: int, macs: int, true_macs: int | None):
    """The first are the published teacher's numbers, the second those of a published subnet."""
    found = json.loads(printed(cli("profile", spec, "--size", 256, "--json")))
    conventions = {"macs", "true_macs", "legacy_macs", "torchprofile_macs"}
    assert found.keys() == {"model", "size", "params", *conventions, "size_bytes", "latency_ms"}
    assert (found["model"], found["size"], found["latency_ms"]) == (spec, 256, {})
    assert (found["params"], found["macs"], found["size_bytes"]) == (params, macs, 4 * params)
    assert found["true_macs"] == true_macs if true_macs else 0 < found["true_macs"] < macs


def test_profile_in_words(cli: Cli):
    lines = printed(cli("profile", "resnet:64")).splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == ["image", "parameters", "MACs", "true", "size"]
    assert lines[0].endswith(" 256 x 256")
    assert lines[1].endswith(" 11,378,179")
    assert lines[2].endswith(" 56.8 G")
    assert lines[3].endswith(" 49.6 G")


def test_profile_of_the_layers(cli: Cli):
    found = json.loads(printed(cli("profile", "mobile-resnet:8", "--size", 32, "--layers", "--json")))
    for figure in ("params", "macs", "true_macs"):
        assert sum(layer[figure] for layer in found["layers"]) == found[figure]
    text = printed(cli("profile", "mobile-resnet:8", "--size", 32, "--layers"))
    assert all(layer["name"] in text for layer in found["layers"])
    assert re.search(r"^stem.conv +conv2d +8 x 32 x 32 +1.18 k +1.20 M +1.20 M$", text, re.MULTILINE)


def test_profile_of_the_layers_on_a_runtime(cli: Cli, toy_run: ToyRun):
    """The names end their columns alike, and figures too."""
    file = toy_run.folder / "export" / "compressed.onnx"
    text = printed(cli("profile", file, "--layers"))
    assert text.splitlines()[0].split(maxsplit=1)[1] == "24 x 24", "the size of the file's card"
    _, kinds, layers = text.split("\n\n")
    assert kinds.startswith("onnxruntime: ")
    for block in (kinds.splitlines()[1:], layers.splitlines()):
        assert block[0].endswith("share")
        assert {len(line) for line in block} == {len(block[0])}
        assert sum(float(line.split()[-1][:-1]) for line in block[1:]) == pytest.approx(100, abs=2)


def test_profile_measures_what_is_asked_for(cli: Cli, toy_run: ToyRun):
    words = ("profile", toy_run.folder, "--runtime", "onnxruntime", "--runtime", "torch")
    found = json.loads(printed(cli(*words, "--json")))
    assert found["size"] == 24, "the size of the model's card"
    assert found["latency_ms"].keys() == {"onnxruntime", "torch"}
    assert all(0 < ms < 1000 for ms in found["latency_ms"].values())
    assert "latency on torch" in printed(cli("profile", toy_run.folder / "model", "--runtime", "torch"))


def test_profile_of_an_onnx_file(cli: Cli, toy_run: ToyRun):
    file = toy_run.folder / "export" / "compressed.onnx"
    found = json.loads(printed(cli("profile", file, "--size", 32, "--threads", 2, "--json")))
    assert found.keys() == {"model", "size", "size_bytes", "latency_ms", "latency", "machine"}
    assert found["size_bytes"] == file.stat().st_size
    assert found["latency_ms"]["onnxruntime"] > 0
