"""The benchmarks: every script runs in its shortest mode, and the figures' arithmetic is right."""

import argparse
import importlib
import json
import runpy
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from benchmarks import emulation, measure, reference
from pocketgan.networks import PatchSpec, ResnetSpec

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPTS = (
    *("training", "cost_model", "scoring", "inference", "startup", "data", "horse2zebra", "segmentation"),
    *("bootstrap", "fid_profile", "sampling", "search", "precision", "plan", "page", "chaos", "generators"),
    *("exports", "latency", "editing", "large", "workers"),
)
#: those that take longest: here they are only read, and `make bench` carries them out
LONG = ("training", "precision", "plan", "chaos", "generators", "editing", "large", "horse2zebra", "inference")
DATA = BENCHMARKS.parents[1] / "shared" / "data"
#: what lies beside the repository, by the script that needs it
NEEDED = {"segmentation": DATA / "camvid_256"}


@pytest.fixture
def run(monkeypatch):
    """`run("training", "--quick")` carries out that script, in this process: most of them take longer to start."""
    threads = torch.get_num_threads()

    def script(name, *words):
        monkeypatch.syspath_prepend(BENCHMARKS)
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")

    yield script
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", [*LONG, "own_generator"])
def test_a_long_script_is_whole(name, run, capsys):
    """All that it needs is there."""
    with pytest.raises(SystemExit, match=r"^0$"):
        run(name, "--help")
    assert ("--quick" if name in LONG else "--generator") in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted({*SCRIPTS} - {*LONG}))
def test_script_runs_and_writes_its_result(name, run, capsys, tmp_path):
    if name in NEEDED and not NEEDED[name].exists():
        pytest.skip("its data are not beside the repository")
    if name == "page" and not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    run(name, "--quick", "--results", tmp_path)
    (file,) = tmp_path.iterdir()
    result = json.loads(file.read_text())
    assert result["benchmark"] == name
    assert result["settings"]["quick"] is True
    assert {"digest", "commit", "date", "machine", "versions"} <= result.keys()
    assert result["rows"]
    printed = capsys.readouterr().out
    assert all(key in printed for key in result["rows"][0])


def test_one_table_of_all(capsys, monkeypatch, tmp_path):
    """A script that runs, one that lacks its data, and one that fails."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    bench = importlib.import_module("bench")
    assert sorted(bench.SCRIPTS) == sorted(SCRIPTS)
    lacking, failing = ["horse2zebra", "it is not beside the repository"], ["startup", "ValueError: no"]
    ended = {words[0]: ([], words[1]) for words in (lacking, failing)}
    rows = [{"case": "both", "seconds": 0.16412, "quartiles": [1.0, 12345.6], "missing": None}]
    monkeypatch.setattr(bench, "run", lambda name: ended.get(name, (rows, "written")))
    monkeypatch.setattr(sys, "argv", ["bench", "--out", str(tmp_path / "t.md"), "--only", "data", *ended])
    assert bench.main() == 1
    assert (tmp_path / "t.md").read_text().splitlines()[2:] == [
        "| script | what | figures |",
        "| --- | --- | --- |",
        "| data | both | seconds 0.164; quartiles 1 to 12,346 |",
        "| horse2zebra | not run | it is not beside the repository |",
        "| startup | not run | ValueError: no |",
    ]
    assert "failed: startup" in capsys.readouterr().err


def test_training_on_a_device_by_batch_and_precision(run, tmp_path):
    """The way of a GPU, on the CPU."""
    words = ["--device", "cpu", "--batch", "2", "--precision", "fp32", "--results", tmp_path]
    run("training", "--quick", *words)
    (file,) = tmp_path.iterdir()
    rows = json.loads(file.read_text())["rows"]
    assert [(row["stage"], row["batch"]) for row in rows] == [
        (stage, 2) for stage in ("teacher", "distillation", "supernet")
    ]
    assert all(row["images_per_second"] > 0 and 0 < row["share_of_peak"] < 1 for row in rows)


def test_every_script_is_run_and_explained():
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")} - {"emulation", "measure", "reference"}
    assert scripts == {*SCRIPTS, "demo_picture", "bench", "full_size", "own_generator"}
    readme = (BENCHMARKS / "README.md").read_text()
    assert all(f"{name}.py" in readme for name in scripts)


def test_in_turns_runs_each_once_a_turn_and_starts_with_another_each_time():
    ran = []
    calls = {name: lambda name=name: ran.append(name) for name in "abc"}
    times = measure.in_turns(calls, 3, warm_up=1)
    assert "".join(ran) == "abc" + "abc" + "bca" + "cab"
    assert {name: (len(own.wall), len(own.cpu)) for name, own in times.items()} == dict.fromkeys("abc", (3, 3))


def test_ratios_are_taken_turn_by_turn():
    # the second turn hit a busy machine: the ratio does not move
    fast, slow = measure.Times((1.0, 10.0, 1.1), (1.0,) * 3), measure.Times((2.0, 20.0, 2.2), (1.0,) * 3)
    assert fast.speedup_over(slow) == pytest.approx(2)
    assert slow.speedup_over(fast) == pytest.approx(0.5)
    assert (fast.median, fast.quartiles, fast.cpu_median) == (1.1, (1.05, 5.55), 1.0)


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("transposed", [False, True])
def test_macs_of_a_convolution_and_its_gradients(groups, transposed):
    x = torch.rand(2, 8, 6, 6, requires_grad=True)
    weight = torch.rand(8, 8 // groups, 3, 3, requires_grad=True)
    convolve = F.conv_transpose2d if transposed else F.conv2d
    forward = 2 * 8 * (8 // groups) * 9 * (6 * 6 if transposed else 4 * 4)
    assert measure.macs(lambda: convolve(x.detach(), weight.detach(), groups=groups)) == forward
    assert measure.macs(lambda: convolve(x, weight, groups=groups).sum().backward()) == 3 * forward
    assert measure.macs(lambda: convolve(x, weight.detach(), groups=groups).sum().backward()) == 2 * forward


@pytest.mark.parametrize("precision", measure.PRECISIONS)
def test_peak_is_a_rate(precision):
    assert measure.conv_peak(precision, quick=True) > 1e6


def test_table_aligns_and_marks_what_is_missing():
    assert measure.table([{"a": "x", "b": 1234.5}, {"a": "yy", "c": 0.12345}]).splitlines() == [
        "a       b      c",
        "x   1,234      -",
        "yy      -  0.123",
    ]


@pytest.mark.parametrize("mobile", [False, True])
def test_reference_generator_is_the_same_function(mobile):
    ours = ResnetSpec.uniform(4, separable=("residual",) if mobile else ()).build()
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    theirs = reference.take_weights(reference.Generator(4, mobile), ours)
    torch.testing.assert_close(theirs(x), ours(x), atol=1e-4, rtol=0)


def test_reference_discriminator_is_the_same_function():
    ours = PatchSpec(width=4).build()
    x = torch.rand(1, 6, 32, 32) * 2 - 1
    torch.testing.assert_close(reference.take_weights(reference.discriminator(4), ours)(x), ours(x))


def test_reference_supernet_is_the_subnet():
    spec = ResnetSpec.uniform(4, separable=("residual",))
    theirs = reference.SlicedGenerator(4)
    subnet = spec.resized(spec.spread((4, 2, 3, 1, 2, 3, 2, 1))).build()
    full = spec.build()
    with torch.no_grad():
        for own, large in zip(subnet.parameters(), full.parameters(), strict=True):
            own.copy_(large[tuple(slice(n) for n in own.shape)])
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    got = reference.take_weights(theirs, full)(x, subnet.spec.widths)
    torch.testing.assert_close(got, subnet(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("transposed", [False, True])
def test_emulated_convolutions_are_those_of_autocast(transposed):
    convolve = F.conv_transpose2d if transposed else F.conv2d
    shapes = (2, 4, 9, 9), (4, 3, 3, 3) if transposed else (6, 2, 3, 3), (6,)
    own = dict(stride=2, padding=1, groups=2, **({"output_padding": 1} if transposed else {}))
    got = []
    for context in (emulation.Emulated(), nullcontext()):
        operands = [torch.randn(s, generator=torch.Generator().manual_seed(i)) for i, s in enumerate(shapes)]
        for operand in operands:
            operand.requires_grad_()
        with context, torch.autocast("cpu", torch.bfloat16):
            y = convolve(*operands, **own)
        got.append((y, *torch.autograd.grad(y.float().square().mean(), operands)))
    for emulated, real in zip(*got, strict=True):
        assert emulated.dtype == real.dtype
        # one rounding more or less
        torch.testing.assert_close(emulated, real, rtol=2**-7, atol=2**-7 * real.abs().max().item())


def test_full_size_in_slices(monkeypatch, tmp_path):
    """A run that takes longer is asked to save its state, as its exit code says; one that ends is waited for."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    full_size = importlib.import_module("full_size")
    stopping = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print('ready')"
    assert full_size.carried_on([sys.executable, "-c", f"{stopping}; time.sleep(60)"], 2.0) == 143
    assert full_size.carried_on([sys.executable, "-c", "raise SystemExit(4)"], 60.0) == 4
    own = dict(data=tmp_path, out=tmp_path / "out", size="256", direction="BtoA", effort="paper", guard="0.5")
    chosen = argparse.Namespace(methods=["in-place", "omgd"], budgets=["2G", "1G"], set=["a=1"], **own)
    found = full_size.commands(chosen)
    assert list(found) == ["in-place-2G", "in-place-1G", "omgd-2G", "omgd-1G"]
    assert [command[command.index("--set") + 1] for command in found.values()] == ["guard=0.5"] * 2 + [
        "guard=0"
    ] * 2
    assert len({command[command.index("--store") + 1] for command in found.values()}) == 1
    assert all(command[-4:-2] == ["--set", "a=1"] for command in found.values())
