import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, save
from torch import nn

from pocketgan.deploy import latency
from pocketgan.deploy.latency import latencies
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.errors import SpecError
from pocketgan.networks import MunitSpec, SpadeSpec

ONNX, TORCH = runtime_named("onnxruntime"), runtime_named("torch")


def relu(path, side="side"):
    """An ONNX file with one operation."""
    image, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, side, side]) for name in ("image", "out")
    )
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["out"])], "relu", [image], [out])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a call moves it."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        latency, "time", SimpleNamespace(perf_counter=lambda: clock.now, process_time=lambda: clock.now / 2)
    )
    return clock


def call(clock, log, name, seconds):
    def run():
        log.append(name)
        clock.now += seconds

    return run


def test_calls_take_turns(clock):
    log = []
    calls = [call(clock, log, "a", 0.001), call(clock, log, "b", 0.002)]
    times = latency._in_turns(calls, repeats=12, budget_s=100.0)
    assert "".join(log) == "aaabbb" + "ab" * 12
    assert times[0] == pytest.approx([1] * 12)
    assert times[1] == pytest.approx([2] * 12)


@pytest.mark.parametrize(("budget", "runs"), [(0.0, 10), (15.0, 15), (100.0, 30)])
def test_the_budget_ends_the_runs_but_not_before_ten(clock, budget, runs):
    (times,) = latency._in_turns([call(clock, [], "a", 1)], repeats=30, budget_s=budget)
    assert len(times) == runs


def test_median_and_quartiles():
    times = [5.0, 1.0, 2.0, 100.0, 3.0]
    summary = latency._summary(times, waits=[0.0, 0.3, 0.2], name="n", size=(8, 8), threads=1, runtime="r")
    assert summary.median_ms == 3
    assert summary.quartiles_ms == (np.quantile(times, 0.25), np.quantile(times, 0.75))
    assert summary.runs == 5
    assert summary.least_ms == 1
    assert (summary.waiting, summary.busy) == (0.2, True)


def test_waiting_is_what_the_processor_did_for_others(clock):
    waits = [[]]
    latency._in_turns([call(clock, [], "a", 1)], repeats=10, budget_s=100.0, waits=waits)
    assert waits[0] == pytest.approx([0.5] * 10)


@pytest.mark.parametrize(("threads", "share"), [(1, 0.5), (2, 1.0)])
def test_ratios_to_the_reference(clock, monkeypatch, tmp_path, threads, share):
    """In turns with it. On one thread times are the processor's, here half of those on the wall."""
    seconds = {"reference": 2e-3, "a": 6e-3, "b": 1e-3}
    taken = []

    def ready(file, size, asked):
        assert asked == threads
        taken.append((file.name, size))
        return call(clock, [], file.name, seconds[file.name])

    monkeypatch.setattr(latency, "reference", lambda runtime, folder: folder / "reference")
    monkeypatch.setattr(type(ONNX), "ready", lambda self, *args: ready(*args))
    files = [tmp_path / name for name in ("a", "b")]
    first, second = latency.beside_reference(ONNX, files, (8, 16), threads, folder=tmp_path)
    assert taken == [("reference", latency.REFERENCE_SIZE), ("a", (8, 16)), ("b", (8, 16))]
    assert (first.ratio, second.ratio) == pytest.approx((3, 0.5))
    assert (first.least_ms, first.reference_ms) == pytest.approx((6 * share, 2 * share))
    assert first.waiting == pytest.approx(0.5)


def test_the_reference_is_exported_once(tmp_path):
    file = latency.reference(ONNX, tmp_path)
    written = file.stat().st_mtime_ns
    assert latency.reference(ONNX, tmp_path).stat().st_mtime_ns == written
    assert ONNX.load(file, 1).inputs["image"] == (1, 3, *latency.REFERENCE_SIZE)


def test_onnx_files_are_measured_on_the_threads_asked_for(tmp_path, monkeypatch):
    import onnxruntime

    threads = []
    session = onnxruntime.InferenceSession

    def watched(path, options, **rest):
        threads.append(options.intra_op_num_threads)
        return session(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    paths = [relu(tmp_path / "a.onnx"), relu(tmp_path / "b.onnx")]
    measured = latencies(ONNX, paths, 16, threads=2, repeats=11)
    assert threads == [2, 2]
    assert [each.name for each in measured] == ["a.onnx", "b.onnx"]
    for each in measured:
        assert each.runs == 11
        assert each.size == (16, 16)
        assert each.threads == 2
        assert each.runtime == f"onnxruntime {onnxruntime.__version__}"
        assert 0 < each.quartiles_ms[0] <= each.median_ms <= each.quartiles_ms[1]
    assert latencies(ONNX, paths[:1], 16)[0].threads == 1


def test_a_file_of_another_size_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"'a\.onnx' takes images of 8 pixels, and 16 was asked for"):
        latencies(ONNX, [relu(tmp_path / "a.onnx", side=8)], 16)


def test_height_width_and_channels(tmp_path):
    spec = SpadeSpec.uniform(1, in_channels=4, upsampling="normal")
    assert latencies(TORCH, [spec.build()], (64, 96), repeats=10)[0].size == (64, 96)
    assert latencies(ONNX, [relu(tmp_path / "a.onnx")], (16, 24))[0].size == (16, 24)


def test_inputs_beside_the_image(tmp_path, monkeypatch):
    """Each is fed by its own name and shape; what a file leaves open is 1."""
    import onnxruntime

    kinds = {"image": ["batch", 36, "rows", "columns"], "style": ["batch", 8, 1, 1], "out": None}
    image, style, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, kinds[name]) for name in kinds)
    nodes = [
        helper.make_node("ReduceMean", ["style"], ["mean"], keepdims=1),
        helper.make_node("Add", ["image", "mean"], ["out"]),
    ]
    graph = helper.make_graph(nodes, "styled", [image, style], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    save(model, tmp_path / "styled.onnx")
    fed = []
    run = onnxruntime.InferenceSession.run
    watched = lambda self, names, feed: fed.append(feed) or run(self, names, feed)  # noqa: E731
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", watched)
    both = latencies(ONNX, [tmp_path / "styled.onnx", relu(tmp_path / "a.onnx")], (16, 24), repeats=10)
    assert [each.runs for each in both] == [10, 10]
    shapes = [{name: value.shape for name, value in feed.items()} for feed in fed[-2:]]
    assert shapes == [{"image": (1, 36, 16, 24), "style": (1, 8, 1, 1)}, {"image": (1, 3, 16, 24)}]
    assert all(value.dtype == np.float32 for feed in fed for value in feed.values())


def test_torch_gets_the_style_too():
    network = MunitSpec.uniform(1, blocks=1).build()
    network.style_encoder.forward = None  # not called: it would be no part of what is shipped
    assert latencies(TORCH, [network], 16, repeats=10)[0].runs == 10


def test_torch_is_measured_in_eval_mode_and_its_threads_are_restored():
    seen = []

    class Watched(nn.Conv2d):
        def forward(self, x):
            seen.append((self.training, torch.get_num_threads(), x.shape))
            return super().forward(x)

    before = torch.get_num_threads()
    network = Watched(3, 3, 1).train()
    start = time.perf_counter()
    measured = latencies(TORCH, [network], 16, threads=1, repeats=10)[0]
    assert measured.median_ms < (time.perf_counter() - start) * 1e3
    assert seen == [(False, 1, (1, 3, 16, 16))] * 13
    assert measured.runs == 10
    assert measured.runtime == f"torch {torch.__version__}"
    assert network.training
    assert torch.get_num_threads() == before
