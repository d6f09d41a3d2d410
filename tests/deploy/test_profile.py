from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from pocketgan.deploy import export_onnx
from pocketgan.deploy.profile import describe, profile_model
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.elastic.cost import layer_costs
from pocketgan.errors import SpecError
from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec

SPEC = ResnetSpec.uniform(2, blocks=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, SPEC.build(), {"size": 24})
    return folder


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(SPEC.build(), 24, file)
    return file


def test_a_conv_counted_by_hand():
    """ResNet-9 of width 1 at 16 pixels: every conv's weights times its positions, in both conventions."""
    found = profile_model("resnet:1", 16, [], layers=True)
    sides = {"stem": 16, "down.0": 8, "down.1": 4}
    by_name = {layer["name"].removesuffix(".conv"): layer for layer in found["layers"] if layer["kind"] != "norm"}
    for name, channels, kernel in (("stem", (3, 1), 7), ("down.0", (1, 2), 3), ("down.1", (2, 4), 3)):
        (layer,) = [layer for key, layer in by_name.items() if key.startswith(name)]
        assert layer["true_macs"] == channels[0] * channels[1] * kernel**2 * sides[name] ** 2
    assert found["params"] == sum(weight.numel() for weight in ResnetSpec.uniform(1).build().parameters())


@pytest.mark.parametrize("size", [16, 64])
def test_layers_add_up(size: int):
    found = profile_model("mobile-resnet:4", size, [], layers=True)
    for figure in ("params", "macs", "true_macs"):
        assert sum(layer[figure] for layer in found["layers"]) == found[figure]
    assert {"name", "kind", "out_shape", "params", "macs", "true_macs"} <= found["layers"][0].keys()


def test_the_size_is_the_card_s_unless_given(folder: Path):
    assert profile_model(str(folder), None, [])["size"] == 24
    assert profile_model(str(folder), 32, [])["size"] == 32
    assert profile_model("resnet:1", None, [])["size"] == 256


def test_images_that_are_not_square(folder: Path, onnx_file: Path):
    found = profile_model(str(folder), (16, 32), ["torch", "onnxruntime"])
    assert found["size"] == "16x32"
    assert found["macs"] == 2 * profile_model(str(folder), 16, [])["macs"]
    assert all(ms > 0 for ms in found["latency_ms"].values())
    assert profile_model(str(onnx_file), (16, 32), [])["size"] == "16x32"


def test_the_size_on_disk_is_that_of_the_weights(folder: Path):
    found = profile_model(str(folder), None, [])
    header = (folder / "weights.safetensors").stat().st_size - found["size_bytes"]
    assert 0 < header < 4000


def test_latencies_are_measured_where_asked(folder: Path):
    threads = torch.get_num_threads()
    assert profile_model(str(folder), None, [])["latency_ms"] == {}
    found = profile_model(str(folder), None, ["torch", "onnxruntime"])
    assert list(found["latency_ms"]) == ["torch", "onnxruntime"]
    assert all(ms > 0 for ms in found["latency_ms"].values())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("text", "runtime"), [("munit:1", "onnxruntime"), ("mobile-spade:1@coco", "torch")])
def test_networks_that_take_more_than_an_image(text: str, runtime: str):
    assert profile_model(text, 64, [runtime])["latency_ms"][runtime] > 0


def test_an_onnx_file(onnx_file: Path):
    found = profile_model(str(onnx_file), 24, [])
    assert found.keys() == {"model", "size", "size_bytes", "latency_ms", "latency", "machine"}
    assert found["latency"]["onnxruntime"]["least_ms"] <= found["latency_ms"]["onnxruntime"] + 1e-3
    assert found["size_bytes"] == onnx_file.stat().st_size
    assert list(found["latency_ms"]) == ["onnxruntime"]
    assert [name for name, _ in describe(found)] == ["image", "size", "latency on onnxruntime"]


def test_a_file_of_another_runtime(onnx_file: Path, tmp_path: Path):
    with pytest.raises(SpecError, match=r"\.onnx runs on onnxruntime, not on torch-export; leave --runtime"):
        profile_model(str(onnx_file), 24, ["torch-export"])
    if find_spec("openvino"):
        runtime_named("openvino").export(SPEC.build(), (24, 24), tmp_path / "model.xml")
        found = profile_model(str(tmp_path / "model.xml"), 24, [])
        assert list(found["latency_ms"]) == ["openvino"]
        assert found["size_bytes"] == sum((tmp_path / f"model.{end}").stat().st_size for end in ("xml", "bin"))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_where_the_time_goes_in_a_runtime(onnx_file: Path, tmp_path: Path, name: str):
    """Every layer with weights is told by its name, at the size of what it gives; shares are of all."""
    if not find_spec(name):
        pytest.skip(f"{name} is not installed")
    file = onnx_file if name == "onnxruntime" else tmp_path / "model.xml"
    if file is not onnx_file:
        runtime_named(name).export(SPEC.build(), (24, 24), file)
    found = profile_model(str(file), (16, 32), [f"{name}:1"], layers=True)
    assert list(found["latency_ms"]) == list(found["layer_times"]) == [f"{name}:1"]
    times = found["layer_times"][f"{name}:1"]
    own = {layer.name: layer for layer in layer_costs(SPEC, 16, 32) if layer.weights}
    names = {each["name"].removeprefix("network."): each for each in times}  # the quick exporter puts it before
    by_name = {name: each for name, each in names.items() if name in own}
    assert by_name.keys() == own.keys()
    for name, each in by_name.items():
        assert tuple(each["shape"][2:]) == own[name].out_shape[-2:]
        assert each["op"] in ("Conv", "ConvTranspose", "Convolution", "GroupConvolution", "ConvolutionBackpropData")
    assert sum(each["share"] for each in times) == pytest.approx(1)
    total = sum(each["ms"] for each in times)
    assert all(each["share"] == pytest.approx(each["ms"] / total) for each in times)


def test_threads_by_runtime(onnx_file: Path):
    found = profile_model(str(onnx_file), 24, ["onnxruntime:2", "onnxruntime"], threads=1)["latency"]
    assert {text: each["threads"] for text, each in found.items()} == {"onnxruntime:2": 2, "onnxruntime": 1}
    for text in ("onnxruntime:", "onnxruntime:0", "onnxruntime:two", "onnxruntime:1:1"):
        with pytest.raises(SpecError, match=f"--runtime '{text}' cannot be read; write a runtime and its threads"):
            profile_model(str(onnx_file), 24, [text])


def test_an_onnx_file_in_other_hands(onnx_file: Path, tmp_path: Path):
    (tmp_path / "bad.onnx").write_bytes(onnx_file.read_bytes()[:200])
    with pytest.raises(SpecError, match=r"bad\.onnx is damaged, or no network that takes one image of 24 pixels"):
        profile_model(str(tmp_path / "bad.onnx"), 24, [])
    with pytest.raises(SpecError, match=r"none\.onnx does not exist; give a file for onnxruntime, a model"):
        profile_model(str(tmp_path / "none.onnx"), 24, [])
    with pytest.raises(SpecError, match="runs on onnxruntime, not on torch; leave --runtime torch out"):
        profile_model(str(onnx_file), 24, ["torch"])
    with pytest.raises(SpecError, match="unknown runtime 'tensorrt'; did you mean torch-export"):
        profile_model(str(onnx_file), 24, ["tensorrt"])


def test_in_words():
    result = {
        "size": 256,
        "params": 822_051,
        "macs": 4_993_843_200,
        "true_macs": 4_000_000_000,
        "size_bytes": 3_288_204,
        "latency_ms": {"onnxruntime": 41.234, "torch": 60.0},
    }
    assert describe(result) == [
        ("image", "256 x 256"),
        ("parameters", "822,051"),
        ("MACs (papers' convention)", "4.99 G"),
        ("true MACs", "4.00 G"),
        ("size", "3.3 MB"),
        ("latency on onnxruntime", "41.2 ms"),
        ("latency on torch", "60.0 ms"),
    ]
