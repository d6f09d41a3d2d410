"""A budget in milliseconds from the command line, on ONNX Runtime: kept, told, picked from, refused."""

import json
from importlib.util import find_spec

import pytest

from pocketgan.pipeline import latency_model
from pocketgan.pipeline.latency_model import spread
from pocketgan.report.model import DeliveredLatency
from tests.conftest import TOY


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Where a run is to be, with a latency model of few points."""
    monkeypatch.setattr(latency_model, "spread", lambda space, most: spread(space, 5))
    return tmp_path / "run"


def compress(pairs, run, budget, *more):
    return ("compress", pairs, "--budget", budget, "--size", 24, "--out", run, *TOY, *more)


def test_a_run_within_milliseconds(cli, pairs, run):
    """The latency model comes first; the network is measured at the end; a smaller budget is picked by the same
    model, without a front that was measured."""
    words = compress(pairs, run, "1G,latency=10000ms", "--runtime", "onnxruntime:1")
    done = cli(*words)
    assert done.code == 0, done.err
    assert "latency: asked 10,000 ms, predicted 0." in done.out
    report = json.loads((run / "report.json").read_text())
    assert report["stages"][0]["name"] == "latency model"
    told = report["latency"]
    assert 0 < told["measured_ms"] < told["asked_ms"] == 10_000
    assert 0 < told["predicted_ms"] < told["asked_ms"]
    assert report["notes"][0] == DeliveredLatency.model_validate(told).text
    assert report["notes"][1].startswith("a latency model from 5 subnets on onnxruntime ")
    model = json.loads(next(run.glob("stages/latency-model-*/artifact/latency.json")).read_text())
    assert len(model["points"]) == 5
    planned = cli("plan", *words[1:], "--json")
    statuses = {stage["stage"]: stage["status"] for stage in json.loads(planned.out)["stages"]}
    assert statuses["latency model"] == statuses["subnet"] == "finished"
    out = run.with_name("picked")
    picked = cli("pick", run, "--budget", "latency=5000ms", "--out", out, "--quiet")
    assert picked.code == 0, picked.err
    assert (out / "export" / "compressed.onnx").exists()
    refused = cli("pick", run, "--budget", "latency=0.0001ms", "--out", run.with_name("none"))
    assert refused.code == 2
    assert "ms is below the smallest subnet that the search scored (" in refused.err
    assert not run.with_name("none").exists()


@pytest.mark.parametrize(
    ("budget", "more", "wanted"),
    [
        ("latency=0.001ms", (), "budget 0.00100 ms on onnxruntime:1 is below the smallest subnet of 4_2 ("),
        ("latency=0.001ms", ("--method", "omgd"), "bounds the latency, and omgd searches nothing; bound macs, or"),
        ("1G", ("--runtime", "onnxruntime:1"), "--runtime onnxruntime:1 is for a bound on the latency, and budget"),
        ("latency=5ms", ("--runtime", "onnxruntime:many"), "--runtime 'onnxruntime:many' cannot be read; write a"),
        (
            "latency=5ms",
            ("--runtime", "torch:1"),
            "torch:1 runs networks as they are and has no files; choose",
        ),
        ("latency=5ms", ("--runtime", "openwine"), "unknown runtime 'openwine'; did you mean openvino?"),
        ("latency=5s", (), "budget 'latency=5s' cannot be read; write milliseconds, as latency=12.5ms"),
    ],
)
def test_what_cannot_be_met_is_one_line(cli, pairs, tmp_path, budget, more, wanted):
    words = compress(pairs, tmp_path / "run", budget, *more)
    refused = cli(*(words if "omgd" not in more else (*words[:8], *more)))
    assert refused.code == 2
    assert wanted in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(find_spec("openvino") is not None, reason="openvino is installed here")
def test_a_runtime_that_is_absent(cli, pairs, tmp_path):
    refused = cli(*compress(pairs, tmp_path / "run", "latency=5ms", "--runtime", "openvino:1"))
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "openvino is not installed here; install it with: pip install 'pocketgan[openvino]'" in refused.err
