"""Norms of fixed statistics within convolutions: the same picture without them."""

import copy

import onnx
import pytest
import torch
from torch import nn

from pocketgan.deploy.fold import fold_norms
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.networks import DeepResnetSpec, ResnetSpec, UnetSpec

EVERYWHERE = dict(separable=("down", "residual", "up"), separable_norm="batch", norm="batch", blocks=2)
SPECS = [
    ResnetSpec.uniform(2, padding="zero", **EVERYWHERE),
    ResnetSpec.uniform(2, up="shuffle", **EVERYWHERE),
    ResnetSpec.uniform(2, up="shuffle", norm="batch", blocks=1),
    ResnetSpec.uniform(2, up="resize", norm="batch", blocks=1),
    UnetSpec.uniform(2, levels=5, biased=True),
    UnetSpec.uniform(2, levels=5, residuals=1, separable=("down", "up")),
    DeepResnetSpec.uniform(1, norm="batch"),
]


def normed(spec):
    """A network whose norms have statistics and parameters of their own."""
    torch.manual_seed(0)
    network = spec.build().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (norm.bias.data, norm.running_mean):
                tensor.normal_()
    return network


def norms_of(network) -> set[str]:
    return {type(module).__name__ for module in network.modules() if "Norm" in type(module).__name__}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@torch.no_grad()
def test_the_same_picture_without_norms(spec):
    network = normed(spec).double()
    folded = copy.deepcopy(network)
    fold_norms(folded)
    assert norms_of(network) >= {"BatchNorm2d"} > norms_of(folded) - {"InstanceNorm"}
    assert ("InstanceNorm" in norms_of(folded)) == ("InstanceNorm" in norms_of(network))
    x = spec.example(2, (32, 64), torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(folded(x), network(x), rtol=1e-10, atol=1e-10)


def test_instance_norms_stay():
    network = ResnetSpec.uniform(2, blocks=1, separable=("residual",)).build()
    before = copy.deepcopy(network)
    fold_norms(network)
    assert str(network) == str(before)


@pytest.mark.parametrize("name", ["onnxruntime", "torch-export"])
@torch.no_grad()
def test_files_have_none(tmp_path, name):
    """OpenVINO's files are made of those of ONNX Runtime."""
    runtime = runtime_named(name)
    network = normed(SPECS[1].model_copy(update={"separable": ("residual",)}))
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    file = tmp_path / f"network{runtime.suffix}"
    runtime.export(network, (16, 16), file, fixed=True)
    made = torch.from_numpy(runtime.load(file, 1).run({"image": x.numpy()}))
    torch.testing.assert_close(made, network(x), rtol=0, atol=1e-5)
    graph = torch.export.load(file).graph if name == "torch-export" else onnx.load(file).graph.node
    assert "norm" not in str(graph).lower().replace(str(tmp_path), "")
    assert norms_of(network) == {"BatchNorm2d"}
