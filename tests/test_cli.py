"""The command line as a user meets it: verbs, options, figures, files."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import onnxruntime
import pytest
import torch
import typer
from PIL import Image

from pocketgan import __version__
from pocketgan import cli as command_line
from pocketgan.catalog.catalog import ENTRIES
from pocketgan.data.cache import load_examples
from pocketgan.data.labels import COCO, LabelMaps
from pocketgan.data.task import open_task
from pocketgan.interop.official import save_official
from pocketgan.models import load_model, save_model
from pocketgan.networks import MunitSpec, SpadeSpec, init_normal, parse_spec
from pocketgan.pipeline.teacher_file import TeacherFile
from tests.data.pictures import numbers, write_map, write_picture

from .conftest import TOY, TOY_DEMO, TOY_STUDENT, Outcome, ToyRun

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


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def printed(outcome: Outcome) -> str:
    """What a command printed; it must have ended well, without a word of complaint."""
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out


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


# -- a run -------------------------------------------------------------------------------------------------------


def rows_of(run: Path) -> dict[str, dict]:
    """The rows of a run's report by their names."""
    return {row["name"]: row for row in json.loads((run / "report.json").read_text())["rows"]}


def test_what_a_run_leaves(toy_run: ToyRun):
    folder = toy_run.folder
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "report.html",
        "report.json",
        "model",
        "export",
        "stages",
        "recipe.json",
    }
    assert {path.name for path in (folder / "model").iterdir()} == {"model.json", "weights.safetensors"}
    assert {path.name for path in (folder / "export").iterdir()} == {
        f"{name}.onnx{card}" for name in ("teacher", "compressed") for card in ("", ".json")
    }
    assert not [path for path in folder.rglob("*") if ".part" in path.name], "nothing half-written"
    report = json.loads((folder / "report.json").read_text())
    rows = rows_of(folder)
    assert rows.keys() == {"teacher", "compressed"}
    for row in rows.values():
        assert {"params", "macs", "true_macs", "latency_ms", "scores", "digest"} <= row.keys()
        taught = {"teacher_l1", "teacher_ssim"} if row["name"] == "compressed" else set()
        assert row["scores"].keys() == {"fd_mobilenet_v2", "l1", "psnr", "ssim"} | taught
        assert row["latency_ms"] > 0
    assert rows["compressed"]["params"] < rows["teacher"]["params"]
    assert rows["compressed"]["macs"] <= report["budget_macs"] == 10**9
    assert report["task"]["counts"] == {"train": 7, "select": 2, "test": 3}
    page = (folder / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "mixed" in page


def test_the_model_and_the_export_of_a_run_agree(cli: Cli, toy_run: ToyRun):
    model = load_model(toy_run.folder / "model")
    x = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    session = onnxruntime.InferenceSession(toy_run.folder / "export" / "compressed.onnx")
    (y,) = session.run(None, {"image": x.numpy()})
    np.testing.assert_allclose(y, model.network(x).detach(), atol=1e-3)
    profile = json.loads(printed(cli("profile", toy_run.folder, "--json")))
    row = rows_of(toy_run.folder)["compressed"]
    assert all(profile[figure] == row[figure] for figure in ("params", "macs", "true_macs"))


def test_images_of_every_kind_of_colour_are_converted(toy_run: ToyRun, tmp_path: Path):
    """The run's data hold a gray, a palette, a transparent and a 16-bit image; all reach it as 8-bit RGB."""
    task = open_task(toy_run.data, size=24)
    seen = {}
    for split in ("train", "select", "test"):
        sources = load_examples(task, split, tmp_path, training=False).sources
        seen |= dict(zip(sources.names, sources.pixels, strict=True))
    folder = toy_run.data / "A"
    modes = {name: Image.open(folder / f"{name}.png").mode for name in seen}
    assert [modes[f"p0{number}"] for number in range(5)] == ["L", "P", "RGBA", "I;16", "RGB"]
    gray = np.asarray(Image.open(folder / "p00.png"))
    np.testing.assert_array_equal(seen["p00"], np.stack([gray] * 3, axis=2))
    np.testing.assert_array_equal(seen["p01"], np.asarray(Image.open(folder / "p01.png").convert("RGB")))
    half = np.asarray(Image.open(folder / "p02.png")).astype(float)
    on_white = half[..., :3] * 128 / 255 + 255 * (1 - 128 / 255)
    np.testing.assert_allclose(seen["p02"].astype(float), on_white, atol=1)
    deep = np.asarray(Image.open(folder / "p03.png")).astype(float) / 257
    np.testing.assert_allclose(seen["p03"].astype(float), np.stack([deep] * 3, axis=2), atol=0.51)


def test_a_finished_run_again(cli: Cli, toy_run: ToyRun):
    def artifacts() -> dict[str, bytes]:
        return {name: content for name, content in files(toy_run.folder).items() if not name.startswith("report.")}

    before = artifacts()
    times = {path: path.stat().st_mtime_ns for path in (toy_run.folder / "stages").rglob("*")}
    outcome = cli(*toy_run.words)
    text = printed(outcome)
    assert "missing" not in text
    assert "partial" not in text
    assert text.splitlines()[-1] == str(toy_run.folder / "report.html")
    assert artifacts() == before
    assert {path: path.stat().st_mtime_ns for path in (toy_run.folder / "stages").rglob("*")} == times


@pytest.mark.parametrize("metric", ["psnr", "ssim", "l1"])
def test_another_metric_takes_what_is_finished(
    cli: Cli, toy_run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
):
    """On the same --out, which compress goes on with: trainings are done, and the search begins anew."""
    monkeypatch.setattr(
        "pocketgan.runs.run.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.all_stages, 0.0),
    )
    run = copytree(toy_run.folder, tmp_path / "run")
    words = (*toy_run.words[1:7], run, *TOY, "--set", f"metric={metric}")
    plan = json.loads(cli("plan", *words, "--json").out)
    statuses = {stage["stage"]: stage["status"] for stage in plan["stages"]}
    again = {name for name, status in statuses.items() if status != "finished"}
    assert {"teacher", "supernet", "scores of the teacher", "export of the teacher"}.isdisjoint(again)
    assert "search" in again
    started = []
    monkeypatch.setattr("pocketgan.runs.run.run_recipe", lambda recipe, *others: started.append(recipe) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli("compress", *words)
    assert {name: stage.digest for name, stage in started[0].all_stages.items()} == {
        stage["stage"]: stage["digest"] for stage in plan["stages"]
    }


def test_a_run_as_json(cli: Cli, toy_run: ToyRun):
    report = json.loads(printed(cli(*toy_run.words, "--json")))
    assert report == json.loads((toy_run.folder / "report.json").read_text())


def test_the_report_again(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    folder = copytree(toy_run.folder, tmp_path / "run")
    (folder / "report.html").unlink()
    (folder / "report.json").write_text("{}")
    assert printed(cli("report", folder)) == f"{folder / 'report.html'}\n"
    first, second = (json.loads((run / "report.json").read_text()) for run in (toy_run.folder, folder))
    assert [row["scores"] for row in first["rows"]] == [row["scores"] for row in second["rows"]]
    assert first["digest"] == second["digest"]
    assert (folder / "report.html").stat().st_size > 10_000


def test_a_teacher_that_is_brought_along(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    (trained,) = (toy_run.folder / "stages").glob("train-*/artifact/model")
    teacher, out = copytree(trained, tmp_path / "teacher"), tmp_path / "run"
    words = [*toy_run.words[:6], "--out", out, *TOY_STUDENT, "--teacher", teacher]
    outcome = cli(*words)
    assert outcome.code == 0, outcome.err
    assert not list((out / "stages").glob("train-*")), "no teacher is trained"
    kept = load_model(next((out / "stages").glob("teacher-file-*")) / "artifact" / "model").network.state_dict()
    for name, tensor in load_model(trained).network.state_dict().items():
        assert torch.equal(tensor, kept[name])
    assert rows_of(out)["teacher"]["scores"] == rows_of(toy_run.folder)["teacher"]["scores"]
    # the report needs the teacher's folder no more
    teacher.rename(tmp_path / "elsewhere")
    printed(cli("report", out))


def test_a_foreign_teacher_with_its_discriminator(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    """Both in the papers' own files; GAN Compression's narrower student inherits the discriminator."""
    (artifact,) = (toy_run.folder / "stages").glob("train-*/artifact")
    for part in ("model", "discriminator"):
        found = load_model(artifact / part)
        save_official(found.network, tmp_path / f"{part}.pth")
    out = tmp_path / "run"
    words = [*toy_run.words[:6], "--out", out, *TOY_STUDENT, "--method", "gan-compression", "--yes"]
    words += ["--teacher", tmp_path / "model.pth", "--discriminator", tmp_path / "discriminator.pth"]
    outcome = cli(*words, "--set", "predistillation.constant=1", "--set", "predistillation.decay=0")
    assert outcome.code == 0, outcome.err
    (given,) = (out / "stages").glob("teacher-file-*/artifact")
    for part in ("model", "discriminator"):
        kept = load_model(given / part).network.state_dict()
        wanted = load_model(artifact / part).network.state_dict()
        assert kept.keys() == wanted.keys()
        assert all(torch.equal(kept[name], tensor) for name, tensor in wanted.items())
    # the folder of a finished stage will do as well, and a run stands for its teacher
    both = TeacherFile.of(artifact)
    assert (both.generator, both.discriminator, both.direction) == (
        load_model(artifact / "model").spec,
        load_model(artifact / "discriminator").spec,
        "AtoB",
    )
    again = tmp_path / "again"
    outcome = cli(*toy_run.words[:6], "--out", again, *TOY_STUDENT, "--teacher", toy_run.folder)
    assert outcome.code == 0, outcome.err
    assert rows_of(again)["teacher"]["params"] == rows_of(toy_run.folder)["teacher"]["params"]


# -- using the result --------------------------------------------------------------------------------------------


def test_evaluate(cli: Cli, toy_run: ToyRun):
    words = ("evaluate", toy_run.folder, toy_run.data)
    found = json.loads(printed(cli(*words, "--json")))
    about = {"model", "also", "split", "images", "size", "data_digest", "protocol", "sha256", "warnings"}
    assert found.keys() == about | {"scores", "intervals", "errors", "worst", "members"}
    assert (found["split"], found["images"], found["size"]) == ("test", 3, 24)
    assert found["scores"].keys() == found["intervals"].keys()
    report = json.loads((toy_run.folder / "report.json").read_text())
    scores = rows_of(toy_run.folder)["compressed"]["scores"]
    assert found["scores"] == pytest.approx({name: scores[name] for name in found["scores"]})
    assert found["data_digest"] == report["task"]["digest"]
    for low, high in found["intervals"].values():
        assert low <= high
    text = printed(cli(*words, "--metrics", "l1,psnr", "--split", "select"))
    assert text.splitlines()[0] == "2 images of the select split at 24 pixels"
    assert "ssim" not in text


def test_evaluate_two_runs(cli: Cli, toy_run: ToyRun):
    words = ("evaluate", toy_run.folder, toy_run.folder)
    found = json.loads(printed(cli(*words, "--json")))
    assert (found["images"], found["protocol"]) == (3, "held-out")
    scores = rows_of(toy_run.folder)["compressed"]["scores"]
    assert {each["metric"]: each["second"] for each in found["differences"]} == pytest.approx(scores)
    told = {each["metric"]: each["verdict"] for each in found["differences"]}
    assert told.pop("fd_mobilenet_v2") == "withheld", "three images decide nothing as a set"
    assert {*told.values()} == {"noise"}
    assert "noise" in printed(cli(*words))


def test_translate(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    outcome = cli("translate", toy_run.folder, toy_run.data / "A", "-o", tmp_path / "made")
    assert (outcome.code, outcome.out) == (0, f"12 images written to {tmp_path / 'made'}, each at its own size\n")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [f"p{n:02}.png" for n in range(12)]
    assert {Image.open(path).size for path in (tmp_path / "made").iterdir()} == {(24, 24)}


def test_export(cli: Cli, toy_run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    line = printed(cli("export", toy_run.folder, "--format", "onnx"))
    again = cli("export", toy_run.folder, "--format", "onnx")
    assert (again.code, again.err) == (
        2,
        "pocketgan: run.onnx is there already; choose another --out, or say --overwrite\n",
    )
    assert printed(cli("export", toy_run.folder, "--format", "onnx", "--overwrite")) == line
    file = tmp_path / "run.onnx"
    assert line.startswith(f"run.onnx: {file.stat().st_size:,} bytes, largest difference to PyTorch ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.onnx", "run.onnx.json"]
    assert json.loads((tmp_path / "run.onnx.json").read_text())["verified"]["images"] == 2
    session = onnxruntime.InferenceSession(file)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 24)).astype(np.float32)
    y = load_model(toy_run.folder / "model").network(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(session.run(None, {"image": x})[0], y, atol=1e-3)


def test_a_style_from_the_checkpoint_to_the_runtime(cli: Cli, tmp_path: Path):
    """Translated with a seed, and exported with an input of its own."""
    save_model(tmp_path / "munit", MunitSpec.uniform(4, blocks=1).build(), {"size": 16})
    for number in range(2):
        write_picture(tmp_path / "in" / f"p{number}.png", number)
    words = ("translate", tmp_path / "munit", tmp_path / "in", "--style-seed", 3, "-o", tmp_path / "made")
    assert cli(*words).out == f"2 images written to {tmp_path / 'made'}, each at its own size\n"
    file = tmp_path / "munit.onnx"
    assert ": largest difference" not in printed(cli("export", tmp_path / "munit", "-o", file))
    session = onnxruntime.InferenceSession(file)
    assert [each.name for each in session.get_inputs()] == ["image", "style"]
    assert json.loads(printed(cli("profile", file, "--size", 24, "--json")))["latency_ms"]["onnxruntime"] > 0


def test_labels_from_the_checkpoint_to_pictures(cli: Cli, tmp_path: Path):
    """The published channels of a SPADE say what its labels are; the size of its images may be oblong."""
    spec = parse_spec("mobile-spade:1@coco")
    save_official(init_normal(spec.build(), torch.Generator().manual_seed(0)), tmp_path / "net.pth")
    words = ("import", tmp_path / "net.pth", "-o", tmp_path / "model", "--size", "64x96", "--json")
    assert "label maps as those of COCO-Stuff: 184 channels" in json.loads(printed(cli(*words)))["assumptions"]
    card = load_model(tmp_path / "model").card
    assert (card["size"], card["labels"]) == ([64, 96], COCO.model_dump())
    labels = numbers(1, 181, 32, 48)
    labels[:8] = 255
    path = write_map(tmp_path / "label" / "a.png", labels)
    outcome = cli("translate", tmp_path / "model", path, "--instances", path.parent, "-o", tmp_path / "made")
    padded = (
        f"1 image written to {tmp_path / 'made'}, each at its own size, 1 padded by reflection to multiples of "
    )
    assert (outcome.code, outcome.out.startswith(padded)) == (0, True)
    assert Image.open(tmp_path / "made" / "a.png").size == (48, 32)


@pytest.mark.parametrize(
    ("text", "maps"),
    [
        ("10", LabelMaps(classes=10)),
        ("9+instances", LabelMaps(classes=9, instances=True)),
        ("8+dont-care+instances", LabelMaps(classes=8, dont_care=True, instances=True)),
    ],
)
def test_label_maps_of_one_s_own(cli: Cli, tmp_path: Path, text: str, maps: LabelMaps):
    spec = SpadeSpec.uniform(1, in_channels=10)
    save_official(init_normal(spec.build(), torch.Generator().manual_seed(0)), tmp_path / "net.pth")
    words = ("import", tmp_path / "net.pth", "--size", 128, "--json")
    told = "nothing of its 10 channels; to translate, say --labels 10, or 9+instances"
    assert told in json.loads(printed(cli(*words)))["assumptions"]
    model = tmp_path / "model"
    assert f"label maps of {text}: 10 channels" in printed(cli(*words, "--labels", text, "-o", model))
    assert load_model(model).card["labels"] == maps.model_dump()
    path = write_map(tmp_path / "label" / "a.png", numbers(1, maps.classes - 1, 64, 64))
    assert cli("translate", model, path, "-o", tmp_path / "made").out.startswith("1 image written")
    assert (
        "makes 11 channels, and this generator takes 10; give 10, or 9+instances" in cli(*words, "--labels", 11).err
    )
    assert "cannot be read; write 10, 9+instances or" in cli(*words, "--labels", "9+edges").err
