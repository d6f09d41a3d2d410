"""Every network, extraction, pruning, cost, layout and search space equals the official one.

The cases are what lies in the golden folder (see golden.py). Networks are built the way a user's are: recognised
from the keys and shapes of the stored weights, with the constructor's word on what these cannot tell. A case of an
unknown kind fails.
"""

import hashlib
import re

import pytest
import torch

from pocketgan.elastic import spaces
from pocketgan.elastic.cost import CostModel, official_macs
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.supernet import Supernet
from pocketgan.interop.importing import build, recognise
from pocketgan.interop.layouts import layout_of
from pocketgan.interop.official import to_official
from pocketgan.networks import Generator, read_numbers, write_numbers
from pocketgan.networks.discriminators import SharedPatchDiscriminator
from pocketgan.networks.presets import parse_spec
from pocketgan.networks.spectral import fold
from tests.parity.golden import GOLDEN, Case, cases, probe

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")

#: constructor arguments of the official code that shapes cannot tell, as our layouts call them
OPTIONS = {
    "clamps_input": "clamp_input",
    "num_upsampling_layers": "upsampling",
    "separable_conv_norm": "separable_norm",
    "padding_type": "padding",
}
#: what shapes tell after all
SHOWN = ("most", "zero")
#: official classes that clamp their input, where the case itself does not say so
CLAMPING = ("ResnetGenerator", "SuperMobileResnetGenerator", "export.transfer_weight")
#: a shared discriminator with all the copies in its file, of which it uses more or fewer
EVERY_COPY = {"shared": 0}
#: sets of cases, and those that other tests hold to (losses, metrics and steps among them)
SETS = ("generators", "discriminators", "export", "weight_transfer", "macs", "layouts")
ELSEWHERE = {"losses", "metrics", "steps"}


def each(family):
    return pytest.mark.parametrize("path", cases(family), ids=lambda path: path.stem)


def test_no_set_is_forgotten():
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} <= {*SETS, *ELSEWHERE}


# -- networks ----------------------------------------------------------------------------------------------------


def assumed(state: dict[str, torch.Tensor], told: dict[str, object]) -> dict[str, object]:
    """What can be said of these options to the layout of these keys."""
    hints = layout_of(recognise(state).spec).recognise.__annotations__
    return {name: value for name, value in {**EVERY_COPY, **told}.items() if name in hints and value not in SHOWN}


def identified(case: Case, state: dict[str, torch.Tensor]):
    """The network with these keys; the constructor has the word on what keys and shapes cannot tell."""
    made = case["constructor"]
    made = {"clamps_input": made.get("student_class", case["class_name"]) in CLAMPING, **made}
    told = {ours: made[theirs] for theirs, ours in OPTIONS.items() if theirs in made}
    return recognise(state, **assumed(state, told))


def opened(case: Case, name: str = ""):
    """A stored network in float64, and a function from our state to the official keys."""
    state = case.state(name)
    found = identified(case, state)
    network = build(found, state).double()
    return network, lambda ours: to_official(ours, found.spec, **found.options)


def results(network, inputs: dict[str, torch.Tensor], lists: list[tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Everything that the golden cases tell of a network, under their names."""
    x, more = inputs["x"], {name: value for name, value in inputs.items() if name != "x"}
    found: dict[str, torch.Tensor] = {}
    taps = {ours: theirs for theirs, ours in getattr(layout_of(network.spec), "TAPS", {}).items()}
    found["output"] = network(x, lambda tap, value: found.setdefault(f"act.{taps.get(tap, tap)}", value), **more)
    if "style" in more:
        found["content"], found["style_encoded"] = network.content(x), network.style(x)
        found["reconstruction"] = network(x)
    for numbers in lists:
        widths, supernet = widths_of(network.spec, numbers), Supernet(network.spec).double().eval()
        supernet.network = network
        name, subnet = write_numbers(numbers), supernet.extract(widths)
        found[f"cfg_{name}"] = supernet(x, widths, **more)
        assert torch.equal(found[f"cfg_{name}"], subnet(x, **more))
        if "style" in more:
            supernet(x, widths, lambda tap, value, name=name: found.setdefault(f"{tap}_cfg_{name}", value))
    return found


def judged_by_heads(case: Case, network, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The scores of each head of a discriminator, for each number of layers that the heads share."""
    found, state = {}, case.state()
    for shared in range(network.spec.layers + 3):
        judge = build(recognise(state, shared=shared), state).double() if shared else network
        for head in range(network.spec.heads):
            found[f"share{shared}.teacher{head + 1}"] = judge(x, head)
    return found


def judged(network, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a discriminator gives: one map, one for each scale, or all features of each."""
    output = network(x)
    if isinstance(output, torch.Tensor):
        return {"output": output}
    found = {}
    for i, scale in enumerate(output):
        found |= {f"scale{i}": scale} if isinstance(scale, torch.Tensor) else {}
        if isinstance(scale, list):
            found |= {f"scale{i}.feat{j}": feature for j, feature in enumerate(scale)}
    return found


def widths_of(spec, numbers: tuple[int, ...]):
    """The widths behind a published list, in its usual or in its shorter form."""
    if len(numbers) == len(spec.ties):
        return spec.spread(numbers)
    return type(spec).of(numbers, blocks=spec.blocks).widths


def near(got: torch.Tensor, want: torch.Tensor, stride: int = 1, within: float = 1e-6) -> bool:
    got = got.detach().double()
    if got.ndim == 4:  # of some only the words of the case tell the stride
        stride = max(stride, got.shape[-1] // want.shape[-1])
        got = got[..., ::stride, ::stride]
    return got.shape == want.shape and bool(((got - want).abs() <= within * want.abs().clamp(min=1)).all())


def check_gradients(case: Case, found: dict[str, torch.Tensor], inputs: dict[str, torch.Tensor], network, official):
    scalar = re.match(r"mean\(output\.(\S+) \* probe\)", case["gradient"]["scalar"])
    output = found[scalar[1]]
    (output * probe(output)).mean().backward()
    for name, (stride, want) in case.results("grad").items():
        got = inputs[name].grad[..., ::stride, ::stride] if stride > 1 else inputs[name].grad
        assert (got - want).abs().max() <= 1e-4 * want.abs().max(), name
    parameters = official(dict(network.named_parameters()))
    for name, want in case["gradient"]["param_grad_l2"].items():
        got = parameters[name].grad
        if want is None:
            assert got is None or not got.any(), name
        else:
            assert abs(got.norm().item() - want) <= 1e-4 * want + 1e-9, name


@each("generators")
def test_generator(path):
    check_network(Case(path))


@each("discriminators")
def test_discriminator(path):
    check_network(Case(path))


def check_network(case: Case) -> None:
    network, official = opened(case)
    if "parameter_count" in case.json:
        assert sum(p.numel() for p in network.parameters()) == case["parameter_count"]
    assert official(network.state_dict()).keys() == case.state().keys()
    inputs = {name: value.requires_grad_() for name, value in case.inputs().items()}
    if isinstance(network, Generator):
        lists = [tuple(numbers) for numbers in case["constructor"].get("channel_lists", ())]
        found = results(network, inputs, lists)
    elif isinstance(network, SharedPatchDiscriminator):
        found = judged_by_heads(case, network, inputs["x"])
    else:
        found = judged(network, inputs["x"])
    for name, (stride, want) in case.results("output").items():
        assert name in found, f"nothing here gives output.{name}"
        assert near(found[name], want, stride), name
    if "gradient" in case.json:
        check_gradients(case, found, inputs, network, official)
    check_extras(case, network, official)


def check_extras(case: Case, network, official) -> None:
    """What single cases tell besides; the JSON says how."""
    known = {"state", "output", "grad", "input", "legacy_extra", "folded", "train1", "calibrated"}
    # the maps of labels that an input was made of concern the data layer
    known |= {"calib", "label_map", "instance_map_i16"}
    kinds = {re.sub(r"(_(sub\d+|u8|u8x4|onehot|int))+$", "", key.partition(".")[0]) for key in case.tensors}
    assert kinds <= known

    extra = case.starting("legacy_extra.")
    if extra:
        state = {**case.state(), **extra}
        again = build(identified(case, state), state)
        assert all(
            torch.equal(ours.double(), value)
            for ours, value in zip(again.state_dict().values(), network.state_dict().values(), strict=True)
        )
    folded = case.starting("folded.")
    if folded:
        plain = fold(network)
        weights = to_official(plain.state_dict(), plain.spec)
        assert all(near(weights[name], want.double()) for name, want in folded.items())
        x = case.inputs()["x"]
        assert torch.allclose(plain(x), network(x), rtol=0, atol=1e-12)
    trained = case.starting("train1.")
    if trained:
        maps = judged(network.train(), case.inputs()["x"])
        assert near(list(maps.values())[-1], trained.pop("output").double())
        state = official(network.state_dict())
        assert all(near(state[name], want.double()) for name, want in trained.items())
    if "calibration" in case.json:
        check_calibration(case, network)


def check_calibration(case: Case, network) -> None:
    """The official calibration: the statistics of the last batch, at momentum 1; these were recorded in float32."""
    numbers = tuple(map(int, re.search(r"list \[([\d, ]+)\]", case["calibration"])[1].split(",")))
    supernet = Supernet(network.spec).double()
    supernet.network = network
    subnet = supernet.extract(widths_of(network.spec, numbers)).train()
    for module in subnet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        subnet(case.tensors["calib_onehot_u8"].double())
        output = subnet.eval()(case.inputs()["x"])
    state = to_official(subnet.state_dict(), subnet.spec)
    for name, want in case.starting("calibrated.").items():
        if name.startswith("output"):
            assert near(output, want.double(), int(name.removeprefix("output_sub")), within=1e-5)
        else:
            block, norm, statistic = name.split(".")
            got = state[f"{block}.{norm}.param_free_norm.{statistic}"]
            assert near(got, want.double()[: len(got)], within=1e-5), name


# -- extraction and pruning --------------------------------------------------------------------------------------


@each("export")
def test_export(path):
    """Subnets are cut out exactly. (Official SPADE subnets keep all statistics; ours keep those that they use.)"""
    case = Case(path)
    state = case.state("super")
    found = identified(case, state)
    supernet = Supernet(found.spec).eval()
    supernet.network = build(found, state)
    for numbers, wanted in case["sub_state_hashes"].items():
        subnet = supernet.extract(widths_of(found.spec, read_numbers(numbers)))
        ours = to_official(subnet.state_dict(), subnet.spec, **found.options)
        assert [name for name in ours if name in wanted] == list(wanted)
        assert all(name.endswith("num_batches_tracked") for name in ours if name not in wanted)
        for name, want in wanted.items():
            value = ours[name]
            if list(value.shape) != want["shape"]:
                assert torch.equal(value, state[name][: len(value)]), name
                value = state[name]
            data = value.float().numpy().astype("<f4").tobytes()
            assert hashlib.sha256(data).hexdigest() == want["sha256_float32_le"], (numbers, name)
        for name, value in case.state(f"sub_{numbers}").items():
            assert torch.equal(ours[name], value[: len(ours[name])] if value.ndim else value), name
    for name, (stride, want) in case.results("output").items():
        subnet = supernet.extract(widths_of(found.spec, read_numbers(name))).double()
        inputs = case.inputs()
        got = subnet(inputs.pop("x"), **inputs)
        assert near(got, want, stride), name


@each("weight_transfer")
def test_weight_transfer(path):
    """Channels are ranked and kept exactly. (The counters of batches are the student's own.)"""
    case = Case(path)
    teacher, official = opened(case, "teacher")
    wanted = case.state("student")
    student = identified(case, wanted).spec
    teacher = teacher.float()
    pruned = keep_important(teacher, teacher.spec, student.widths)
    renamed = official(pruned)
    assert renamed.keys() == wanted.keys()
    for name, want in wanted.items():
        assert name.endswith("num_batches_tracked") or torch.equal(renamed[name], want), name
    network = student.build()
    network.load_state_dict(pruned)
    for stride, want in case.results("output").values():
        assert near(network.double().eval()(case.input("x").double()), want, stride)


# -- costs, layouts, spaces --------------------------------------------------------------------------------------


#: families whose golden name is not made as ours is
NAMES = {"mobile_deepest_resnet": "deep-resnet", "unet_256": "unet", "unet_deepest_256": "deep-unet"}


def costed(family: str, row: dict):
    """The network of a row of the golden MACs, and the sides of its image."""
    name, sides = re.fullmatch(r"(.*?)(?:_(\d+x\d+))?(?:_(?:instance|batch))?", family).groups()
    norm = {"norm": family.rpartition("_")[2]} if family.endswith(("_instance", "_batch")) else {}
    numbers = row.get("channels") or [row["ngf"]]
    legacy, name = name.startswith("legacy_"), name.removeprefix("legacy_").removeprefix("sub_")
    name, _, labels = name.replace("resnet9", "resnet").partition("spade_")
    name = NAMES.get(name, name.replace("_", "-")) if not labels else f"{name.replace('_', '-')}spade"
    spec = parse_spec(f"{name}:{write_numbers(tuple(numbers))}" + (f"@{labels}" if labels else ""))
    if legacy:
        spec = type(spec).of(tuple(numbers), legacy=True, separable=spec.separable)
    height, width = map(int, (sides or "256x256").split("x"))
    return type(spec).model_validate({**spec.model_dump(), **norm}), height, width


def some(rows: list[dict]) -> list[dict]:
    """Of a long list, which has one network at many widths, a quarter: `test_cost_model` holds to all of it."""
    return rows[:: 4 if len(rows) > 8 else 1]


@each("macs")
def test_macs(path):
    for family, rows in Case(path)["values"].items():
        for row in some(rows):
            spec, height, width = costed(family, row)
            variants = {
                name: (spec.model_copy(update={"style_encoder": with_encoder}), row[name])
                for name, with_encoder in (("with_style_encoder", True), ("given_style", False))
                if name in row
            }
            for variant, want in variants.values() or [(spec, row)]:
                found = official_macs(variant, height, width)
                assert found == {
                    "legacy_macs": want["legacy"],
                    "macs": want["legacy_plus_instance_norm"],
                    "torchprofile_macs": want["torchprofile_0_0_1"],
                    "true_macs": want["true"],
                }, (family, row)
                # the encoder counts among the parameters in either case
                assert sum(p.numel() for p in skeleton(spec).parameters()) == want["params"]


@each("macs")
def test_cost_model(path):
    """The arithmetic for whole spaces gives the same figures, from another network of each family.

    (The deep teachers are no family to search in; their many groups take long.)
    """
    models = {}
    for family, rows in Case(path)["values"].items():
        if "deepest" in family:
            continue
        spec, *sides = costed(family, rows[0])
        other = spec.resized((8,) * len(spec.widths))
        if (other, *sides) not in models:
            models[other, *sides] = CostModel(other, *sides)
        for row in rows:
            want = row["with_style_encoder" if spec.style_encoder else "given_style"] if "munit" in family else row
            figures = {
                "params": want["params"],
                "macs": want["legacy_plus_instance_norm"],
                "true_macs": want["true"],
            }
            assert models[other, *sides].one(costed(family, row)[0].widths) == figures, (family, row)


@each("layouts")
def test_layout(path):
    """Names, order and shapes, of networks that are told from names and shapes alone."""
    for name, layout in Case(path)["values"].items():
        state = {key: torch.empty(shape, device="meta") for key, shape in layout["keys"].items()}
        found = recognise(state, **assumed(state, {}))
        with torch.device("meta"):
            network = found.spec.build()
        ours = to_official(network.state_dict(), found.spec, **found.options)
        wide = state if found.state is None else found.state
        assert [(k, v.shape) for k, v in ours.items()] == [(k, wide[k].shape) for k in layout["keys"]], name
        assert sum(p.numel() for p in network.parameters()) == layout["parameters"], name


@pytest.mark.parametrize("path", cases("metrics", lambda name: name == "search_spaces"), ids=lambda path: path.stem)
def test_search_spaces(path):
    golden = Case(path)["values"]
    for row in golden["encode"]:
        assert write_numbers(tuple(row["channels"])) == row["string"]
        assert read_numbers(row["string"]) == tuple(row["channels"])
    for name, options in golden["spaces"].items():
        family, space_name = name.split("/")
        space = spaces.space_named(space_name, parse_spec(f"mobile-{family}:1"))
        assert [sorted(choice.options) for choice in space.choices] == [sorted(o) for o in options], name
