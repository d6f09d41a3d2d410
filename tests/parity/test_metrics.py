"""Every metric and every pretrained network of the golden folder gives the official numbers.

The cases are what lies in the folder; one that no function here takes, and no other test, fails.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pocketgan.data.images import to_uint8
from pocketgan.metrics.frechet import Statistics, frechet_distance
from pocketgan.metrics.segmentation import confusion, counts, iou, mean_iou
from pocketgan.pretrained.drn import DRN
from pocketgan.pretrained.inception import Inception, resize_legacy
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2
from tests.parity.golden import GOLDEN, Case, cases, formula

pytestmark = [
    pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository"),
    pytest.mark.usefixtures("real_features"),
]

#: cases of the folder that are about something else, and the test that holds to them
ELSEWHERE = {"evolution_search": "test_evolution", "search_spaces": "test_golden", "lr_schedule": "test_losses"}


@pytest.mark.parametrize("path", cases("metrics", lambda name: name not in ELSEWHERE), ids=lambda path: path.stem)
@torch.inference_mode()
def test_case(path):
    check = CHECKS.get(path.stem)
    assert check is not None, f"no test knows the case {path.stem}"
    check(Case(path))


@pytest.mark.parametrize(("name", "place"), ELSEWHERE.items())
def test_the_others_are_where_it_says(name, place):
    assert f'"{name}' in Path(__file__).with_name(f"{place}.py").read_text()


def uniform(name, shape, lo, hi, first3):
    """A formula input: see the golden README."""
    signed = formula("", shape, prefix=name, gain=1).double() / 6**0.5 * np.prod(shape[1:]) ** 0.5
    values = (lo + (hi - lo) * (signed + 1) / 2).float()
    torch.testing.assert_close(values.flatten()[:3], torch.tensor(first3), rtol=0, atol=1e-6)
    return values


def golden_input(case):
    told = case["input_formula"]
    return uniform(told["key"], told["shape"], told["lo"], told["hi"], told["first3"])


def frechet(case):
    given = case.tensors

    def distance(name, other):
        ends = [
            Statistics.from_moments(given[f"input.{name}.mu{i}"], given[f"input.{name}.sigma{i}"], 2) for i in other
        ]
        return frechet_distance(*ends)

    for name, wanted in case["values"].items():
        if name.endswith("_same"):
            assert distance(name.removesuffix("_same"), (1, 1)) == pytest.approx(0, abs=1e-6)
        elif name == "singular_eigenvalue_reference":
            assert distance("singular", (1, 2)) == pytest.approx(wanted, rel=1e-6)
        else:
            assert distance(name, (1, 2)) == pytest.approx(wanted, rel=1e-3 if name == "singular" else 1e-6)
    found = Statistics.of(given["input.activations"])
    torch.testing.assert_close(found.mean, given["output.mu"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.covariance, given["output.sigma"], rtol=1e-9, atol=1e-12)


def inception(case):
    network = Inception()
    names = {}
    for place, layer in network.layers.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            name = ".".join(dict.fromkeys((place.partition(".")[0], place.rpartition(".")[2])))
            names[f"{name}.conv.weight"] = list(layer.weight.shape)
            names |= {
                f"{name}.bn.{k}": [layer.out_channels] for k in ("weight", "bias", "running_mean", "running_var")
            }
    assert set(case["formula_probe"]) <= set(names)
    network.load_official({name: formula(name, shape, **case["formula"]) for name, shape in names.items()})
    network.eval()
    x = resize_legacy(golden_input(case)) * 2 - 1
    y, taps = x, {"pool1": "block0", "pool2": "block1", "Mixed_6e": "block2"}
    for name, layer in network.layers.named_children():
        y = layer(y)
        if name in taps:
            wanted = case.tensors[f"output_chmean.{taps[name]}"]
            torch.testing.assert_close(y.mean(1), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(x), case.tensors["output.pool3"], rtol=1e-4, atol=1e-5)
    double = network.double()(x.double()).float()
    torch.testing.assert_close(double, case.tensors["output.pool3"], rtol=1e-5, atol=2e-6)


def drn(case):
    network = DRN()
    state = case.state()
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == case["state_keys"]
    state["up.weight"] = network.up.weight
    torch.testing.assert_close(network.up.weight[0, 0], case.tensors["up_weight_first"], rtol=0, atol=0)
    network.load_state_dict(state)
    scores = network.eval()(golden_input(case))
    torch.testing.assert_close(scores[..., ::4, ::4], case.tensors["output_sub4.logprob"], rtol=1e-5, atol=1e-5)
    assert torch.equal(scores.argmax(1), case.tensors["output_u8.argmax"].long())


def confusion_matrix(case):
    classes, wanted = case["values"]["num_classes"], case["values"]
    total = sum(
        confusion(case.tensors[f"input_int.label{i}"], case.tensors[f"input_int.pred{i}"], classes)
        for i in range(3)
    )
    assert total.tolist() == wanted["confusion"]
    counted = counts(total)
    assert [None if np.isnan(value) else value for value in iou(counted).tolist()] == wanted["iou_percent"]
    assert mean_iou(counted) == pytest.approx(wanted["mIoU"], rel=1e-14)
    assert round(mean_iou(counted), 2) == wanted["mIoU_rounded"]


def tensor_to_uint8(case):
    found = to_uint8(case.tensors["input.x"], "truncate")
    np.testing.assert_array_equal(found, case.tensors["output.u8"].numpy())


def mobilenet_v2(case):
    tensors = load_file(case.path.with_suffix(".safetensors"))  # the case does not name its file
    features = MobileNetV2.load()(tensors["input_u8.x"] / 127.5 - 1)
    torch.testing.assert_close(features, tensors["output.pool"], rtol=1e-4, atol=1e-4)


CHECKS = {
    "frechet": frechet,
    "inception_fid_formula": inception,
    "drn_d_105_formula": drn,
    "confusion_miou": confusion_matrix,
    "tensor_to_uint8": tensor_to_uint8,
    "mobilenet_v2_features": mobilenet_v2,
}
