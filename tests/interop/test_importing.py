"""Foreign checkpoints become networks, and networks foreign checkpoints again."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketgan.errors import DataError, SpecError
from pocketgan.interop.importing import import_checkpoint, recognise
from pocketgan.interop.layouts import layouts
from pocketgan.interop.official import from_official, save_official, to_official
from pocketgan.models import load_model
from pocketgan.networks import PatchSpec, PixelSpec, ResnetSpec, SharedPatchSpec
from pocketgan.networks.ms_image import MsImageSpec
from pocketgan.networks.multiscale import MultiscaleSpec
from pocketgan.networks.presets import forms, parse_spec, specs
from tests.conftest import Outcome

H2Z = Path(__file__).resolve().parents[2].parent / "shared/data/weights/gan_compression_h2z/latest_net_G.pth"

GENERATORS = [parse_spec(f"{form}:1") for form in forms()]
GENERATORS += [
    ResnetSpec.uniform(2, blocks=blocks, norm=norm, padding=padding, separable=separable)
    for blocks, norm, padding, separable in (
        (1, "batch", "reflect", ()),
        (6, "instance", "zero", ("residual",)),
        (2, "batch", "zero", ("down", "residual")),
    )
]
GENERATORS += [
    ResnetSpec.of("2_1_3_2_1_3_2_1", separable=("residual",), in_channels=1, out_channels=2),
    ResnetSpec.of("2_1_3_2_2_1", separable=("residual",), legacy=True),
    ResnetSpec.uniform(1, blocks=1, kernel=5),
    parse_spec("unet:1_2_1_2_1"),
    parse_spec("mobile-munit:2_1_1_2_1_2_1_2_1_1"),
    parse_spec("mobile-spade:1_2_1_1_2_1_2_1@coco"),
]
DISCRIMINATORS = [
    PatchSpec(width=2, layers=2),
    PatchSpec(width=1, norm="batch"),
    PixelSpec(width=2),
    PixelSpec(width=2, norm="batch"),
    MsImageSpec(width=1),
    MultiscaleSpec(width=1, in_channels=5),
    SharedPatchSpec(width=1, shared=5),
    SharedPatchSpec(width=1, norm="batch", shared=2),
]


def random_network(spec):
    """With every weight and statistic different from what a new network has."""
    network = spec.build().eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + 0.1)
    return network


def told(spec) -> dict[str, object]:
    """What its keys and shapes do not say of a network."""
    hints = layouts()[spec.kind].recognise.__annotations__
    return {
        name: getattr(spec, name)
        for name in ("clamp_input", "upsampling", "shared")
        if name in hints and hasattr(spec, name)
    }


@pytest.mark.parametrize("spec", [*GENERATORS, *DISCRIMINATORS], ids=lambda spec: spec.kind)
def test_there_and_back(tmp_path: Path, spec):
    """Written as the official code's, then recognised: the same spec and the same weights."""
    network, file = random_network(spec), tmp_path / "net.pth"
    save_official(network, file)
    found = import_checkpoint(file, **told(spec))
    assert found.spec == spec
    assert not found.network.training
    state = found.network.state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    # and once more, under the same keys
    again = tmp_path / "again.pth"
    save_official(found.network, again, **found.options)
    first, second = torch.load(file), torch.load(again)
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_every_kind_is_imported():
    # nobody else has files of a traced generator
    assert {spec.kind for spec in (*GENERATORS, *DISCRIMINATORS)} == set(layouts()) == set(specs()) - {"traced"}


def test_files_are_read_by_every_pytorch(tmp_path: Path):
    """The official code asks for versions that know no archives."""
    save_official(ResnetSpec.uniform(1, blocks=1).build(), tmp_path / "net.pth")
    assert not (tmp_path / "net.pth").read_bytes().startswith(b"PK")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("spec", [ResnetSpec.uniform(1, blocks=2), ResnetSpec.uniform(1, separable=("residual",))])
def test_networks_without_a_dropout_module(tmp_path: Path, spec: ResnetSpec):
    """CycleGAN and pix2pix leave the module out, so that later layers move up."""
    network = random_network(spec)
    state = to_official(network.state_dict(), spec, dropout_module=False)
    assert any(".conv_block.5." in key for key in state)
    torch.save(state, tmp_path / "net.pth")
    found = import_checkpoint(tmp_path / "net.pth")
    assert (found.spec, found.options) == (spec, {"dropout_module": False})
    assert to_official(found.network.state_dict(), found.spec, **found.options).keys() == state.keys()


def test_statistics_that_instance_norms_once_stored(tmp_path: Path):
    spec = ResnetSpec.uniform(1, blocks=1)
    state = to_official(random_network(spec).state_dict(), spec)
    idle = {f"model.{i}.{name}": torch.rand(4) for i in (2, 5, 8) for name in ("running_mean", "running_var")}
    torch.save({**state, **idle}, tmp_path / "net.pth")
    found = import_checkpoint(tmp_path / "net.pth", clamp_input=False)
    assert found.spec == spec
    assert found.assumptions[-1] == "tracked=false: the statistics of the instance norms are left out"


def test_statistics_that_adaptive_norms_once_stored(tmp_path: Path):
    spec = parse_spec("munit:1")
    state = to_official(random_network(spec).state_dict(), spec)
    idle = {f"dec.model.0.model.0.model.0.norm.{name}": torch.rand(4) for name in ("running_mean", "running_var")}
    torch.save({"a": {**state, **idle}}, tmp_path / "net.pth")
    assert import_checkpoint(tmp_path / "net.pth").spec == spec


def test_batch_norms_that_did_not_count_yet(tmp_path: Path):
    spec = ResnetSpec.uniform(1, blocks=1, norm="batch")
    network = random_network(spec)
    state = to_official(network.state_dict(), spec)
    torch.save({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, tmp_path / "net.pth")
    found = import_checkpoint(tmp_path / "net.pth")
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(found.network(x), network(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype):
    spec = ResnetSpec.uniform(1, blocks=1)
    state = {key: value.to(dtype) for key, value in to_official(random_network(spec).state_dict(), spec).items()}
    torch.save(state, tmp_path / "net.pth")
    network = import_checkpoint(tmp_path / "net.pth").network
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert torch.equal(network.stem.conv.weight, state["model.1.weight"].float())


def test_several_networks_in_a_file(tmp_path: Path):
    generator, judge = ResnetSpec.uniform(1, blocks=1), PatchSpec(width=1)
    states = {
        name: {
            f"module.{key}": value for key, value in to_official(random_network(spec).state_dict(), spec).items()
        }
        for name, spec in (("netD", judge), ("netG", generator))
    }
    torch.save({"epoch": 7, **states}, tmp_path / "net.pth")
    found = import_checkpoint(tmp_path / "net.pth", clamp_input=False)
    assert found.spec == generator
    assert found.assumptions[-1] == "network=netG: the file holds netG and netD"
    assert import_checkpoint(tmp_path / "net.pth", "netD").spec == judge
    with pytest.raises(DataError, match="holds no network 'netF'; it holds netG and netD"):
        import_checkpoint(tmp_path / "net.pth", "netF")


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


STEP = torch.tensor(5)
#: one generator as trainers write it, from the state of the generator and that of a discriminator
WRAPPED = {
    "a counter beside it": lambda g, d: {"iter": STEP, "netG": g},
    "lightning": lambda g, d: {
        "state_dict": {
            **under("generator", g),
            **under("discriminator", d),
            **under("vgg.features.0", {"weight": STEP}),
        },
        "loops": {"fit": [1, None]},
    },
    "an averaged model": lambda g, d: {"n_averaged": STEP, **under("module", g)},
    "compiled, parallel, in a trainer": lambda g, d: under("trainer._orig_mod.netG.module", g),
    "a list of networks": lambda g, d: [{"lr": 0.1}, ("netD", d), {"net": under("_fsdp_wrapped_module", g)}],
    "moments by name": lambda g, d: {"model": g, "optimizer": {"state": {k: {"exp_avg": v} for k, v in g.items()}}},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_generator_is_known_whatever_wraps_it(tmp_path: Path, kind: str):
    network = random_network(ResnetSpec.uniform(1, blocks=1))
    states = [to_official(net.state_dict(), net.spec) for net in (network, random_network(PatchSpec(width=1)))]
    torch.save(WRAPPED[kind](*states), tmp_path / "net.pth")
    found = import_checkpoint(tmp_path / "net.pth", clamp_input=False).network
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(found(x), network(x))


@pytest.mark.parametrize(
    ("join", "places"),
    [
        (lambda a, b: {"netG_A": a, "netG_B": b}, ("netG_A", "netG_B")),
        (
            lambda a, b: {"state_dict": under("model.netG_A", a) | under("model.netG_B", b)},
            ("netG_A", "model.netG_B"),
        ),
        (lambda a, b: {"net": a, "ema": {"shadow": b}}, ("net", "shadow")),
    ],
    ids=["in a mapping", "under prefixes", "averaged"],
)
def test_of_several_generators_one_is_asked_for(cli, tmp_path: Path, join, places: tuple[str, str]):
    file, specs = tmp_path / "net.pth", [ResnetSpec.uniform(1, blocks=1), parse_spec("unet:1_1_1_1_1")]
    torch.save(join(*(to_official(random_network(spec).state_dict(), spec) for spec in specs)), file)
    outcome = cli("import", file)
    assert outcome.code == 2
    assert re.search(r"holds several networks, .*; choose one: pocketgan import FILE --network \S+ -o", outcome.err)
    assert all(place in outcome.err for place in places)
    for place, kind in zip(places, ("resnet", "unet"), strict=True):
        assert json.loads(cli("import", file, "--network", place, "--json").out)["spec"]["kind"] == kind
    assert "holds no network 'netX'; it holds " in cli("import", file, "--network", "netX").err


def test_averaged_weights_beside_the_others_in_one_mapping(cli, tmp_path: Path):
    file, spec = tmp_path / "net.pth", ResnetSpec.uniform(1, blocks=1)
    state = to_official(random_network(spec).state_dict(), spec)
    torch.save(state | under("ema", {name: 2 * tensor for name, tensor in state.items()}), file)
    assert "holds several networks, " in cli("import", file).err
    for place, factor in (("model", 1), ("ema", 2)):
        network = import_checkpoint(file, place).network
        assert torch.equal(network.stem.conv.weight, factor * state["model.1.weight"])


# -- statistics of instance norms --------------------------------------------------------------------------------


class Sum(nn.Module):
    """The official residual block, without a dropout module."""

    def __init__(self, width: int, norm):
        super().__init__()
        conv = (nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3))
        again = (nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3))
        self.conv_block = nn.Sequential(*conv, norm(width), nn.ReLU(), *again, norm(width))

    def forward(self, x):
        return x + self.conv_block(x)


class Join(nn.Module):
    """The official U-Net, level by level."""

    def __init__(self, level: int, norm, levels: int = 5):
        super().__init__()
        into, out = 3 if level == 1 else 2 ** (level - 2), min(2 ** (level - 1), 8)
        down, up = nn.Conv2d(into, out, 4, 2, 1), nn.ConvTranspose2d(out * (1 + (level < levels)), into, 4, 2, 1)
        before = () if level == 1 else (nn.LeakyReLU(0.2, True),)
        inside = () if level == levels else ((norm(out),) if level > 1 else ()) + (Join(level + 1, norm),)
        after = (nn.Tanh(),) if level == 1 else (norm(into),)
        self.model, self.outermost = nn.Sequential(*before, down, *inside, nn.ReLU(True), up, *after), level == 1

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def official_resnet(norm) -> nn.Module:
    net = nn.Module()
    down = [nn.Conv2d(2, 4, 3, 2, 1), norm(4), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), norm(8), nn.ReLU()]
    up = [nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), norm(4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 3, 2, 1, 1), norm(2)]
    ends = (
        [nn.ReflectionPad2d(3), nn.Conv2d(3, 2, 7), norm(2), nn.ReLU()],
        [nn.ReflectionPad2d(3), nn.Conv2d(2, 3, 7)],
    )
    net.model = nn.Sequential(*ends[0], *down, Sum(8, norm), *up, nn.ReLU(), *ends[1], nn.Tanh())
    net.forward = net.model.forward
    return net


def official_unet(norm) -> nn.Module:
    net = nn.Module()
    net.model = Join(1, norm)
    net.forward = net.model.forward
    return net


NORMS = {
    "tracked": partial(nn.InstanceNorm2d, track_running_stats=True),
    "tracked, with weights": partial(nn.InstanceNorm2d, track_running_stats=True, affine=True),
    "batch norms behind biases": nn.BatchNorm2d,
    "plain": nn.InstanceNorm2d,
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("make", [official_resnet, official_unet])
def test_the_statistics_that_images_depend_on_are_kept(tmp_path: Path, make, norm: str):
    """Images equal those of the network that was trained, in evaluation."""
    torch.manual_seed(0)
    net, file = make(NORMS[norm]), tmp_path / "net.pth"
    for step in range(3):
        net(torch.rand(2, 3, 32, 32) * (step + 1) - 1)
    torch.save(net.state_dict(), file)
    found = import_checkpoint(file, clamp_input=False) if make is official_resnet else import_checkpoint(file)
    said = [text for text in found.assumptions if text.startswith("tracked=")]
    assert said == (
        ["tracked=true: the statistics of the instance norms are kept, as those of batch norms"]
        * (norm == "tracked")
    )
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(found.network(x), net.eval()(x), atol=1e-5, rtol=0)
        if norm == "tracked":  # as in training, if one says so
            told = import_checkpoint(file, tracked=False)
            torch.testing.assert_close(told.network(x), net.train()(x), atol=1e-5, rtol=0)
            assert any(text.startswith("tracked=false") for text in told.assumptions)


def test_statistics_that_none_of_ours_can_use(tmp_path: Path):
    spec = ResnetSpec.uniform(1, blocks=1, separable=("residual",))
    state = to_official(random_network(spec).state_dict(), spec)
    for norm in ("model.2", "model.10.conv_block.1.conv.1"):
        statistics = {"running_mean": torch.rand(4), "num_batches_tracked": STEP}
        state |= {f"{norm}.{name}": value for name, value in statistics.items()}
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(DataError, match="inner instance norms use statistics, which none of ours does; --assume"):
        import_checkpoint(tmp_path / "net.pth")
    assert import_checkpoint(tmp_path / "net.pth", tracked=False).spec.norm == "instance"


# -- assumptions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "clamps"),
    [
        (ResnetSpec.uniform(1), True),
        (ResnetSpec.uniform(1, norm="batch"), False),
        (ResnetSpec.uniform(1, separable=("residual",)), False),
        (ResnetSpec.of("1_1_2_1_1_1_1_1", separable=("residual",)), True),
    ],
    ids=["full", "pix2pix", "mobile", "compressed"],
)
def test_the_input_is_clamped_where_the_official_code_does(spec: ResnetSpec, clamps: bool):
    state = to_official(spec.build().state_dict(), spec)
    found = recognise(state)
    assert found.spec.clamp_input is clamps
    assert found.assumptions[0].startswith(f"clamp_input={str(clamps).lower()}: ")
    assert recognise(state, clamp_input=str(not clamps)).spec.clamp_input is not clamps


def test_assumptions_that_cannot_be():
    state = to_official(parse_spec("resnet:1").build().state_dict(), parse_spec("resnet:1"))
    with pytest.raises(SpecError, match="'maybe' is no value for clamp_input: input should be a valid boolean"):
        recognise(state, clamp_input="maybe")
    with pytest.raises(SpecError, match="unknown assumption 'clamp'; did you mean clamp_input"):
        recognise(state, clamp=True)
    with pytest.raises(SpecError, match="unknown assumption 'upsampling'"):
        recognise(state, upsampling="more")


# -- files that are no network of ours ---------------------------------------------------------------------------


def changed(change) -> dict[str, torch.Tensor]:
    spec = ResnetSpec.of("1_1_2_1_1_1_1_1", separable=("residual",))
    state = to_official(random_network(spec).state_dict(), spec)
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: s.pop("model.26.bias"), "resembles a mobile ResNet 1_1_2_1_1_1_1_1 but lacks model.26.bias"),
        (lambda s: s.update({"model.30.weight": torch.ones(1)}), "but has model.30.weight besides"),
        (lambda s: s.update({"model.26.bias": torch.ones(4)}), r"but has model.26.bias as \[4\] instead of \[3\]"),
        (lambda s: s.update({"model.2.weight": torch.ones(1)}), "but has model.2.weight besides"),
        (lambda s: s.pop("model.1.weight"), "its 83 tensors start with model.1.bias"),
        (lambda s: s.update({"model.4.weight": torch.ones(3, 1, 3, 3)}), "its 84 tensors start with"),
        (lambda s: (s.clear(), s.update({"conv\n1": torch.ones(1)})), r"its 1 tensors start with conv\\n1"),
    ],
)
def test_networks_that_are_none_of_ours(tmp_path: Path, change, problem: str):
    torch.save(changed(change), tmp_path / "net.pth")
    with pytest.raises(DataError, match=problem) as caught:
        import_checkpoint(tmp_path / "net.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'net.pth'} holds no network that PocketGAN knows: ")
    assert "it knows MUNIT, " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_overflow(tmp_path: Path):
    spec = ResnetSpec.uniform(1, blocks=1, norm="batch")
    network = random_network(spec)
    network.stem.norm.running_var.fill_(-1)
    save_official(network, tmp_path / "net.pth")
    with pytest.raises(DataError, match="gives NaN or infinite images"):
        import_checkpoint(tmp_path / "net.pth")


def test_unknown_keys_are_no_weights_of_ours():
    with pytest.raises(KeyError):
        from_official({"model.99.weight": torch.ones(1)}, ResnetSpec.uniform(1))


# -- the command line --------------------------------------------------------------------------------------------


@pytest.mark.skipif(not H2Z.exists(), reason="the released checkpoint is not beside the repository")
def test_a_released_checkpoint(cli):
    """GAN Compression's horse2zebra generator: 0.357 M parameters and 2.55 G MACs, as published."""
    found = json.loads(cli("import", H2Z, "--json").out)
    assert found["what"] == "mobile ResNet 16_16_32_16_32_32_16_16"
    assert found["widths"] == "16_16_32_16_32_32_16_16"
    assert (found["params"], found["macs"], found["true_macs"]) == (356_867, 2_546_204_672, 1_845_755_904)
    text = cli("import", H2Z).out
    assert "356,867" in text
    assert "2.546 G" in text
    assert "1.846 G" in text
    assert "clamp_input=true" in text


def test_import_and_export(cli, tmp_path: Path):
    file, folder, again = (tmp_path / name for name in ("net.pth", "model", "again.pth"))
    spec = ResnetSpec.of("2_1_2_1_1_1_1_1", separable=("residual",))
    torch.save(to_official(random_network(spec).state_dict(), spec, dropout_module=False), file)
    outcome = cli("import", file, "-o", folder, "--assume", "clamp_input=false", "--size", 32)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].split() == ["model", str(folder)]
    model = load_model(folder)
    assert model.spec == spec
    assert (model.card["size"], model.card["source"]) == ([32, 32], "net.pth")
    assert str(tmp_path) not in (folder / "model.json").read_text()
    assert cli("export", folder, "--format", "official", "-o", again).code == 0
    first, second = torch.load(file), torch.load(again)
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_import_and_export_of_a_discriminator(cli, tmp_path: Path):
    save_official(random_network(PatchSpec(width=2)), tmp_path / "net.pth")
    found = json.loads(cli("import", tmp_path / "net.pth", "-o", tmp_path / "model", "--json").out)
    assert found["what"] == "PatchGAN discriminator of base width 2"
    assert found["params"] == sum(p.numel() for p in PatchSpec(width=2).build().parameters())
    assert "macs" not in found
    assert cli("export", tmp_path / "model", "--format", "official", "-o", tmp_path / "again.pth").code == 0
    assert torch.load(tmp_path / "again.pth").keys() == torch.load(tmp_path / "net.pth").keys()


def test_sides_that_are_not_equal(cli, tmp_path: Path):
    save_official(random_network(parse_spec("mobile-spade:1")), tmp_path / "net.pth")
    found = json.loads(cli("import", tmp_path / "net.pth", "--size", "128x256", "--json").out)
    profile = json.loads(cli("profile", "mobile-spade:1", "--size", "128x256", "--json").out)
    for figure in ("params", "macs", "true_macs", "legacy_macs", "torchprofile_macs", "size"):
        assert found[figure] == profile[figure]
    assert profile["size"] == "128x256"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("import", "{net}", "--assume", "clamp"), "--assume 'clamp' cannot be read; write name=value"),
        (("import", "{net}", "--size", "30"), "size 30 does not fit a resnet generator"),
        (("import", "{net}", "--size", "32x"), "--size '32x' cannot be read"),
        (("import", "{net}", "-o", "{full}"), "is not empty; choose another --out"),
        (("import", "{net}", "-o", "{net}/x"), "cannot be written"),
        (("import", "{none}"), "cannot be read: No such file or directory"),
        (("export", "resnet:1", "--format", "official", "-o", "{net}/x.pth"), "cannot be written"),
        (("export", "resnet:1", "--format", "offical"), "unknown format 'offical'; did you mean official"),
    ],
)
def test_mistakes(cli, tmp_path: Path, words: tuple[str, ...], text: str):
    places = {"net": tmp_path / "net.pth", "none": tmp_path / "none", "full": tmp_path}
    save_official(random_network(ResnetSpec.uniform(1, blocks=1)), places["net"])
    outcome: Outcome = cli(*(word.format(**places) for word in words))
    assert outcome.code == 2
    assert text in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]
