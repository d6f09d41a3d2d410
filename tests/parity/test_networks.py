"""ResNet generators and PatchGANs equal the official ones: outputs, taps, gradients."""

import pytest
import torch

from pocketgan.elastic.slicing import skeleton
from pocketgan.elastic.supernet import Supernet
from pocketgan.interop.official import from_official, to_official
from pocketgan.networks import PatchSpec, ResnetSpec, write_numbers
from tests.parity.golden import GOLDEN, Case, cases, probe

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")

GENERATORS = cases("generators", lambda name: "resnet" in name and "deepest" not in name)
DISCRIMINATORS = cases("discriminators", lambda name: "nlayer" in name and "multi" not in name)
TAPS = {"model.9": "down", "model.12": "block3", "model.15": "block6", "model.18": "block9"}


def generator_spec(case: Case) -> tuple[ResnetSpec, int]:
    """The spec of a golden ResNet, and the index of a block's second convolution in its keys."""
    made = case["constructor"]
    upstream = "upstream" in case["case"]
    fields = dict(
        in_channels=made.get("input_nc", 3),
        out_channels=made.get("output_nc", 3),
        blocks=made.get("n_blocks", 9),
        norm=made.get("norm", "instance"),
        clamp_input=made.get("clamps_input", False),
        separable=("residual",) if "mobile" in case["case"] else (),
    )
    second = 6 if any("conv_block.6.weight" in k and v.ndim == 4 for k, v in case.state().items()) else 5
    second = second if upstream else 6
    if "channels" in made:
        return ResnetSpec.of(tuple(made["channels"]), legacy="legacy" in case["case"], **fields), second
    return ResnetSpec.uniform(made["ngf"], **fields), second


def assert_output(found: torch.Tensor, case: Case, key: str) -> None:
    names = [n for n in case.tensors if n == key or n.split(".", 1)[0].startswith(key.split(".", 1)[0] + "_sub")]
    for name in [n for n in names if n.split(".", 1)[1] == key.split(".", 1)[1]]:
        stride = int(name.split(".", 1)[0].rpartition("sub")[2]) if "_sub" in name.split(".", 1)[0] else 1
        want = case.tensors[name].double()
        got = found.detach().double()[..., ::stride, ::stride]
        assert ((got - want).abs() <= 1e-6 * want.abs().clamp(min=1)).all(), name
        return
    raise AssertionError(f"the case has no {key}")


def assert_gradients(case: Case, output, x, parameters: dict[str, torch.Tensor]) -> None:
    (output * probe(output)).mean().backward()
    for name, want in case.tensors.items():
        head, _, rest = name.partition(".")
        if head.startswith("grad") and rest == "x":
            stride = int(head.rpartition("sub")[2]) if "sub" in head else 1
            got = x.grad[..., ::stride, ::stride]
            assert (got - want.double()).abs().max() <= 1e-4 * want.abs().max()
    for name, want in case["gradient"]["param_grad_l2"].items():
        got = parameters[name].grad
        assert (got is None) == (want is None), name
        if want is not None:
            assert abs(got.norm().item() - want) <= 1e-4 * want + 1e-9, name


@pytest.mark.parametrize("path", GENERATORS, ids=lambda p: p.stem)
def test_generator(path):
    case = Case(path)
    spec, second = generator_spec(case)
    x = case.input("x").double().requires_grad_()
    supernet = Supernet(spec).double().eval()
    state = from_official(case.state(), spec, second=second)
    supernet.network.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in state.items()})
    if "parameter_count" in case.json:
        assert sum(p.numel() for p in supernet.parameters()) == case["parameter_count"]

    seen = {}
    lists = case["constructor"].get("channel_lists")
    if lists:
        for numbers in map(tuple, lists):
            widths = ResnetSpec.of(numbers, separable=("residual",)).widths
            with torch.no_grad():
                assert_output(supernet(x, widths), case, f"output.cfg_{write_numbers(numbers)}")
                assert_output(supernet.extract(widths)(x), case, f"output.cfg_{write_numbers(numbers)}")
        output = supernet(x, ResnetSpec.of(tuple(lists[0]), separable=("residual",)).widths)
    else:
        output = supernet.network(x, lambda name, value: seen.setdefault(name, value))
        assert_output(output, case, "output.output")
    for official, ours in TAPS.items():
        if any(name.split(".", 1)[1] == f"act.{official}" for name in case.tensors if name.startswith("output")):
            assert_output(seen[ours], case, f"output.act.{official}")
    parameters = dict(supernet.network.named_parameters())
    assert_gradients(case, output, x, to_official(parameters, spec, second=second))


@pytest.mark.parametrize("path", DISCRIMINATORS, ids=lambda p: p.stem)
def test_patch_discriminator(path):
    case = Case(path)
    made = case["constructor"]
    spec = PatchSpec(
        in_channels=made["input_nc"], width=made["ndf"], layers=made.get("n_layers", 3), norm=made["norm"]
    )
    network = spec.build().double().eval()
    state = from_official(case.state(), spec)
    network.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in state.items()})
    x = case.input("x").double().requires_grad_()
    output = network(x)
    assert_output(output, case, "output.output")
    assert_gradients(case, output, x, to_official(dict(network.named_parameters()), spec))


def test_official_layouts_are_ours_renamed():
    import json

    layouts = json.loads((GOLDEN / "layouts" / "layouts_gan_compression.json").read_text())["values"]
    checked = 0
    for name, layout in layouts.items():
        family, _, rest = name.partition(" ")
        if family in ("resnet_9blocks", "mobile_resnet_9blocks"):
            width = int(rest.split()[0].removeprefix("g"))
            separable = ("residual",) if family.startswith("mobile") else ()
            norm = "batch" if "batch" in rest else "instance"
            spec = ResnetSpec.uniform(width, separable=separable, norm=norm)
        elif family == "sub_mobile_resnet_9blocks":
            spec = ResnetSpec.of(rest.split()[0], separable=("residual",))
        else:
            continue
        ours = to_official(skeleton(spec).state_dict(), spec)
        assert [(k, list(v.shape)) for k, v in ours.items()] == list(layout["keys"].items()), name
        checked += 1
    assert checked >= 3
