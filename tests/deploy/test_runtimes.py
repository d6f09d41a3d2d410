"""Every family in every format and precision: written, run in its runtime and compared with PyTorch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from pocketgan.deploy import export_verified
from pocketgan.deploy import onnx as onnx_export
from pocketgan.deploy.inputs import noise
from pocketgan.deploy.mil import OPERATIONS
from pocketgan.deploy.rewrites import instance_norm, reflection_pad2d, replication_pad2d, upsample_nearest2d
from pocketgan.deploy.runtimes import runtime_named, runtimes_by_format
from pocketgan.deploy.ship import BOUNDS, Bound, verify
from pocketgan.errors import PocketGANError, SpecError
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec, UnetSpec, init_normal

#: one of each family, with a size that it takes and one that has to be padded
FAMILIES = {
    "resnet": (ResnetSpec.uniform(2, blocks=1, separable=("residual",)), (16, 20), (17, 18)),
    "unet": (UnetSpec.uniform(1, levels=5), (64, 96), (40, 33)),
    "spade": (SpadeSpec.uniform(1, in_channels=3, upsampling="normal"), (64, 64), (70, 40)),
    "munit": (MunitSpec.uniform(1, blocks=1), (16, 20), (18, 23)),
}
FORMATS = [
    (name, precision)
    for name, runtime in runtimes_by_format().items()
    if name not in ("executorch", "coreml")  # their compilers take long: one network is enough, below
    for precision in runtime.precisions
    if precision != "int8"
]


def network_of(family):
    network = init_normal(FAMILIES[family][0].build(), torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(5)  # so that the pictures are no plain grey
    return network


def reflected(x, multiple):
    """As many rows and columns more as it takes to a multiple."""
    more = [(0, 0), (0, 0), *((0, -side % multiple) for side in x.shape[2:])]
    return torch.from_numpy(np.pad(x.numpy(), more, mode="reflect"))


@pytest.fixture
def one_trace(monkeypatch):
    """Every ONNX export of a network starts from one trace: it takes seconds, and is the same."""
    kept, write = {}, onnx_export._write

    def once(network, size, path, fixed, opset):
        if fixed not in kept:
            write(network, size, path, fixed, opset)
            kept[fixed] = path.read_bytes()
        path.write_bytes(kept[fixed])

    monkeypatch.setattr(onnx_export, "_write", once)


@pytest.mark.usefixtures("one_trace")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_format_and_precision(family, tmp_path):
    spec, size, odd = FAMILIES[family]
    network, runtimes = network_of(family), runtimes_by_format()
    for name, precision in FORMATS:
        runtime = runtimes[name]
        pytest.importorskip(runtime.package[0] if runtime.package else "torch")
        path = tmp_path / f"{precision}{runtime.suffix}"
        found = export_verified(network, size, path, runtime=runtime.name, precision=precision)
        assert found.psnr >= (60 if precision == "fp32" else 50)
        assert found.largest <= BOUNDS[precision].largest
        told = json.loads((tmp_path / f"{path.name}.json").read_text())
        assert (told["precision"], told["spec"]["kind"]) == (precision, spec.kind)
        assert told["verified"]["largest_difference"] == found.largest
        served = runtime.load(path, 1)
        assert served.inputs["image"] == (None, 3, None, None)
        if name == "torch":
            continue
        x, drawn = spec.example(2, odd, torch.Generator().manual_seed(1)), {}
        if "style" in served.inputs:
            drawn = network.draw(2, torch.Generator().manual_seed(2))
        made = served.run({"image": x.numpy()} | {key: each.numpy() for key, each in drawn.items()})
        expected = network(reflected(x, spec.stride), **drawn).detach()[..., : odd[0], : odd[1]]
        np.testing.assert_allclose(made, expected, atol=1e-3 if precision == "fp32" else 0.05)


def test_executorch(tmp_path, capfd):
    pytest.importorskip("executorch")
    network = network_of("resnet")
    found = export_verified(network, 16, tmp_path / "small.pte", runtime="executorch")
    assert found.psnr >= 60
    assert runtime_named("executorch").load(tmp_path / "small.pte", 1).inputs == {"image": (1, 3, 16, 16)}
    assert b"ReflectionPad" not in (tmp_path / "small.pte").read_bytes()
    assert capfd.readouterr() == ("", "")


def test_coreml(tmp_path, cli):
    """Where CoreML does not run, the operations of the file are computed: a wrong weight in it is found."""
    pytest.importorskip("coremltools")
    network, path = network_of("resnet"), tmp_path / "small.mlpackage"
    found = export_verified(network, 16, path, runtime="coreml")
    assert found.psnr >= 60
    card = json.loads((tmp_path / "small.mlpackage.json").read_text())
    assert (card["format"], card["sides"]) == ("coreml", "fixed")
    if not (elsewhere := runtime_named("coreml").elsewhere):
        return
    assert str(found).endswith("; not run here: CoreML runs on macOS (its operations were computed)")
    assert card["verified"]["not_run_here"] == "CoreML runs on macOS; its operations were computed"
    for words in (("translate", path, tmp_path, "-o", tmp_path / "made"), ("profile", path)):
        told = "files for coreml do not run here: CoreML runs on macOS; take the model folder, or another format"
        assert cli(*words) == (2, "", f"pocketgan: {told}\n")
    assert elsewhere in cli("doctor").out
    export_verified(network, 16, path, runtime="coreml")  # a folder takes the place of a folder
    assert sorted(each.name for each in tmp_path.iterdir()) == ["small.mlpackage", "small.mlpackage.json"]
    (weights,) = path.rglob("weight.bin")
    held = bytearray(weights.read_bytes())
    held[-64:] = np.full(16, 0.5, np.float32).tobytes()
    weights.write_bytes(held)
    with pytest.raises(PocketGANError, match="a file for coreml must agree with its network"):
        verify(path, network, noise(network, 1, (16, 16)), runtime=runtime_named("coreml"))


@pytest.mark.parametrize(
    ("operation", "given", "expected"),
    [
        # padding is named from the first axis on, before and after
        (
            "conv",
            {"pad_type": "custom", "pad": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2], "groups": 2},
            lambda x, w: F.conv2d(F.pad(x, (2, 1, 1, 0)), w, stride=(2, 1), dilation=(1, 2), groups=2),
        ),
        (
            "pad",
            {"pad": [0, 0, 0, 0, 1, 2, 3, 0], "mode": "reflect"},
            lambda x, w: F.pad(x, (3, 0, 1, 2), "reflect"),
        ),
        ("crop", {"crop_height": [1, 0], "crop_width": [0, 2]}, lambda x, w: x[..., 1:, :-2]),
        ("slice_by_size", {"begin": [0, 1, 0, 2], "size": [1, 2, -1, 3]}, lambda x, w: x[:1, 1:3, :, 2:5]),
        (
            "slice_by_index",
            {
                "begin": [0, 1, 3, 5],
                "end": [1, 0, 9, 9],
                "stride": [1, 2, 1, 1],
                "end_mask": [False, True, False, False],
                "squeeze_mask": [False, False, False, True],
            },
            lambda x, w: x[:1, 1::2, 3:9, 5],
        ),
    ],
)
def test_operations_of_coreml(operation, given, expected):
    x, weight = torch.randn(2, 4, 7, 8), torch.randn(4, 2, 3, 3)
    more = {"weight": weight} if operation == "conv" else {}
    assert torch.allclose(OPERATIONS[operation](x, **more, **given), expected(x, weight), atol=1e-6)


def test_transposed_convolutions_of_coreml():
    """What PyTorch adds at the end is a padding that cuts less off."""
    x, weight = torch.randn(2, 4, 5, 6), torch.randn(4, 3, 3, 3)
    own = F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1)
    given = {"strides": [2, 2], "pad": [1, 0, 1, 0], "pad_type": "custom", "output_shape": [2, 3, 10, 12]}
    assert torch.allclose(OPERATIONS["conv_transpose"](x, weight, **given), own, atol=1e-6)
    with pytest.raises(PocketGANError, match=r"gives \(2, 3, 9, 9\), and it gives \(2, 3, 10, 12\)"):
        OPERATIONS["conv_transpose"](x, weight, **given | {"output_shape": [2, 3, 9, 9]})


def test_the_rewrites_compute_the_same():
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    weight, bias = torch.randn(2, 3, dtype=torch.float64)
    own = torch.nn.functional.instance_norm(x, weight=weight, bias=bias)
    assert torch.allclose(instance_norm(x, weight, bias, None, None, True, 0.1, 1e-5, True), own, atol=1e-12)
    mean, var = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    own = torch.nn.functional.instance_norm(x, mean, var, weight, bias, use_input_stats=False)
    assert torch.allclose(instance_norm(x, weight, bias, mean, var, False, 0.1, 1e-5, True), own, atol=1e-12)
    for pads in ([1, 2, 3, 4], [0, 1, 0, 0]):
        for mine, mode in ((reflection_pad2d, "reflect"), (replication_pad2d, "replicate")):
            assert torch.equal(mine(x, pads), torch.nn.functional.pad(x, pads, mode=mode))
    x = torch.randn(2, 3, 12, 8)
    assert torch.equal(upsample_nearest2d(x, [3, 4], None), torch.nn.functional.interpolate(x, (3, 4)))
    assert upsample_nearest2d(x, [5, 4], None) is upsample_nearest2d(x, None, [2.0, 2.0]) is NotImplemented


@pytest.mark.usefixtures("one_trace")
def test_half_weights_halve_the_file(tmp_path):
    network = init_normal(ResnetSpec.uniform(8, blocks=1).build(), torch.Generator().manual_seed(0))
    for precision in ("fp32", "fp16"):
        export_verified(network, 16, tmp_path / f"{precision}.onnx", precision=precision, fixed=True)
    sizes = [(tmp_path / f"{each}.onnx").stat().st_size for each in ("fp16", "fp32")]
    assert sizes[0] < 0.6 * sizes[1]
    kinds = {each.data_type for each in onnx.load(tmp_path / "fp16.onnx").graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_a_file_that_differs_too_much_never_appears(tmp_path):
    told = "a file for torch-export must agree with its network within -1 and to 300 dB"
    with pytest.raises(PocketGANError, match=told):
        export_verified(
            network_of("resnet"), 16, tmp_path / "m.pt2", runtime="torch-export", fixed=True, bound=Bound(-1, 300)
        )
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_that_is_not_installed(monkeypatch, tmp_path: Path):
    runtime = replace(runtime_named("openvino"), package=("no_such_package", "openvino"))
    with pytest.raises(SpecError, match=r"openvino is not installed here; .* pip install 'pocketgan\[openvino\]'"):
        runtime.check()
    with pytest.raises(SpecError, match="torch-export writes fp32, not fp16; choose one of these"):
        runtime_named("torch-export").check("fp16")
