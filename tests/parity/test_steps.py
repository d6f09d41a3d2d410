"""Training steps equal the official ones, in float64: losses, gradients' effects, weights after each step."""

import random
import re

import pytest
import torch

from pocketgan.data.batches import Batch
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.space import Choice, SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.interop.official import from_official, to_official
from pocketgan.losses.distillation import Adaptors, ChannelConnectors
from pocketgan.networks import (
    DeepResnetSpec,
    MultiscaleSpec,
    PatchSpec,
    ResnetSpec,
    SharedPatchSpec,
    SpadeSpec,
    UnetSpec,
    read_numbers,
)
from pocketgan.objectives.cycle import CycleGan, CycleGanSettings
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.online import OnlineDistiller, OnlineSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.objectives.spade import Spade, SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistiller, SpadeDistilSettings
from pocketgan.pretrained.perceptual import Perceptual
from pocketgan.pretrained.vgg import Vgg
from tests.parity.golden import GOLDEN, Case, cases

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")

PIX2PIX = cases("steps", lambda name: name.startswith("pix2pix"))
CYCLEGAN = cases("steps", lambda name: name.startswith("cyclegan"))
STUDENTS = cases("steps", lambda name: name.startswith(("distill_resnet", "supernet_resnet")))
SPADE = cases("steps", lambda name: name.startswith("spade") and "supernet" not in name)
SPADE_STUDENTS = cases("steps", lambda name: name.startswith("spade_supernet"))
ONLINE = cases("steps", lambda name: name.startswith("omgd"))
#: the activations that GauGAN's perceptual loss compares
VGG_TAPS = tuple(f"relu{stage}_1" for stage in range(1, 6))
#: those that OMGD's compares, and the fifth stage's, which it does not use
OMGD_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


def test_no_case_is_forgotten():
    tested = [path.stem for path in (*PIX2PIX, *CYCLEGAN, *STUDENTS, *SPADE, *SPADE_STUDENTS, *ONLINE)]
    assert sorted(tested) == [path.stem for path in cases("steps")]


def resnet(kind: str, width: int, norm: str) -> ResnetSpec:
    return ResnetSpec.uniform(
        width,
        norm=norm,
        separable=("residual",) if "mobile" in kind else (),
        clamp_input=kind.removesuffix("_9blocks") != "mobile_resnet",
    )


def load(network, spec, state):
    network.load_state_dict(from_official(state, spec))
    return network.double()


def close(got: float, want: float) -> bool:
    """Some processors round gradients near 0 otherwise, which Adam enlarges: to 2e-8 on one of two."""
    return abs(got - want) <= 1e-7 * max(1.0, abs(want))


def assert_tensors(states: dict, wanted: dict) -> None:
    for player, tensors in wanted.items():
        for name, want in tensors.items():
            tensor = states[player][name]
            assert close(tensor.mean().item(), want["mean"]), (player, name)
            assert close(tensor.abs().mean().item(), want["abs_mean"]), (player, name)
            for got, value in zip(tensor.flatten().tolist(), want.get("first8", []), strict=False):
                assert close(got, value), (player, name)


def inputs(case: Case, number: int) -> Batch:
    def image(name: str) -> torch.Tensor:
        # not through float32, where 1 / 127.5 is rounded
        small = case.tensors.get(f"input_u8x4.step{number}.{name}")
        if small is None:
            return case.tensors[f"input_u8.step{number}.{name}"].double() / 127.5 - 1
        return (small.double() / 127.5 - 1).repeat_interleave(4, -2).repeat_interleave(4, -1)

    if f"input_onehot.step{number}.sem" in case.tensors:
        x, y = case.input(f"step{number}.sem").double(), image("image")
    elif case["constructor"].get("direction") == "BtoA":
        x, y = image("B"), image("A")
    else:
        x, y = image("A"), image("B")
    return Batch(x=x, y=y, names=("",) * len(x))


def run(case: Case, objective, losses_of: dict[str, str], states) -> None:
    """`losses_of`: for each of our losses the official name; 0.5 of the sum of those that '+' joins."""
    for number, want in enumerate(case["steps"], 1):
        got = objective.step(inputs(case, number), random.Random(0))
        for ours, theirs in losses_of.items():
            parts = [got[name].item() for name in ours.split("+")]
            loss = parts[0] if len(parts) == 1 else sum(parts) / 2
            assert abs(loss - want["losses"][theirs]) <= 1e-8 * abs(want["losses"][theirs]), ours
        if "after" in want:
            assert_tensors(states(), want["after"])
    assert_tensors(states(), case["after_last"])


@pytest.mark.parametrize("path", PIX2PIX, ids=lambda p: p.stem)
def test_pix2pix(path):
    case = Case(path)
    made = case["constructor"]
    spec = resnet(made["netG"], made["ngf"], made["norm"])
    judge = PatchSpec(width=made["ndf"], layers=made["n_layers_D"], norm=made["norm"])
    generator = load(spec.build(), spec, case.state("G"))
    discriminator = load(judge.build(), judge, case.state("D"))
    settings = Pix2PixSettings(
        gan_mode=made["gan_mode"],
        gan=made["lambda_gan"],
        recon=made["lambda_recon"],
        recon_loss=made.get("recon_loss_type", "l1"),
        lr=made["lr"],
        betas=(made["beta1"], 0.999),
    )
    objective = Pix2Pix(settings, generator, discriminator)
    names = {k: k for k in ("D_fake", "D_real", "G_gan", "G_recon")}

    def states():
        return {
            "G": to_official(generator.state_dict(), spec),
            "D": to_official(discriminator.state_dict(), judge),
        }

    run(case, objective, names, states)


def fixed_space(spec, numbers: str) -> SearchSpace:
    """The space with one genome."""
    choices = zip(spec.ties, read_numbers(numbers), strict=True)
    return SearchSpace(
        name="fixed", spec=spec, choices=tuple(Choice(positions=p, options=(n,)) for p, n in choices)
    )


@pytest.mark.parametrize("path", STUDENTS, ids=lambda p: p.stem)
def test_distiller(path):
    case = Case(path)
    made = case["constructor"]
    paired = made["dataset_mode"] == "aligned"
    teacher_spec = resnet(made["teacher_netG"], made["teacher_ngf"], made["norm"])
    student_spec = resnet(made["student_netG"], made["student_ngf"], made["norm"])
    judge = PatchSpec(in_channels=6 if paired else 3, width=made["ndf"], norm=made["norm"])
    teacher = load(teacher_spec.build(), teacher_spec, case.state("G_teacher"))
    discriminator = load(judge.build(), judge, case.state("D"))
    space = None
    student = student_spec.build()
    if "config_str" in made:
        space = fixed_space(student_spec, made["config_str"])
        student = Supernet(student_spec)
    network = student.network if space else student
    load(network, student_spec, case.state("G_student"))
    taps = student_spec.taps
    adaptors = Adaptors({t: (student_spec.tap_channels(t), teacher_spec.tap_channels(t)) for t in taps})
    for number, tap in enumerate(taps):
        adaptors.taps[tap].load_state_dict(case.state(f"A{number}"))
    settings = DistilSettings(
        gan_mode=made["gan_mode"],
        gan=made["lambda_gan"],
        recon=made["lambda_recon"],
        recon_loss=made.get("recon_loss_type", "l1"),
        distil=made["lambda_distill"],
        paired=paired,
        lr=made["lr"],
        betas=(made["beta1"], 0.999),
    )
    objective = Distiller(settings, teacher, student, adaptors.double(), discriminator, space)
    names = {
        "D_fake": "D_fake",
        "D_real": "D_real",
        "G_gan": "G_gan",
        "G_recon": "G_recon",
        "G_distil": "G_distill",
    }

    def states():
        return {
            "G_student": to_official(network.state_dict(), student_spec),
            "D": to_official(discriminator.state_dict(), judge),
            **{f"A{n}": adaptors.taps[tap].state_dict() for n, tap in enumerate(taps)},
        }

    run(case, objective, names, states)


@pytest.mark.parametrize("path", CYCLEGAN, ids=lambda p: p.stem)
def test_cyclegan(path):
    case = Case(path)
    made = case["constructor"]
    assert made["lambda_A"] == made["lambda_B"]
    spec = resnet(made["netG"], made["ngf"], made["norm"])
    judge = PatchSpec(in_channels=3, width=made["ndf"], norm=made["norm"])
    networks = {name: load(spec.build(), spec, case.state(name)) for name in ("G_A", "G_B")}
    networks |= {name: load(judge.build(), judge, case.state(name)) for name in ("D_A", "D_B")}
    settings = CycleGanSettings(
        gan_mode=made["gan_mode"],
        cycle=made["lambda_A"],
        identity=made["lambda_A"] * made["lambda_identity"],
        pool=made["pool_size"],
        lr=made["lr"],
        betas=(made["beta1"], 0.999),
    )
    names = {}
    for way, side in (("", "A"), ("_backward", "B")):
        names |= {
            f"G_gan{way}": f"G_{side}",
            f"G_cycle{way}": f"G_cycle_{side}",
            f"G_identity{way}": f"G_idt_{side}",
        }
        names[f"D_fake{way}+D_real{way}"] = f"D_{side}"

    def states():
        return {
            name: to_official(network.state_dict(), spec if name.startswith("G") else judge)
            for name, network in networks.items()
        }

    run(case, CycleGan(settings, *networks.values()), names, states)


def spade(kind: str, width: int, made: dict, *, spectral: bool) -> SpadeSpec:
    return SpadeSpec.uniform(
        width,
        in_channels=made["semantic_nc"],
        upsampling=made["num_upsampling_layers"],
        separable=("modulation",) if "mobile" in kind else (),
        spectral=spectral,
    )


def multiscale(case: Case):
    made = case["constructor"]
    spec = MultiscaleSpec(
        in_channels=made["semantic_nc"] + 3, width=made["ndf"], layers=made["n_layers_D"], scales=made["num_D"]
    )
    return load(spec.build(), spec, case.state("D")), spec


def spade_terms(made: dict) -> dict:
    return dict(
        gan_mode=made["gan_mode"],
        gan=made["lambda_gan"],
        feature_matching=made["lambda_feat"],
        perceptual=made["lambda_vgg"],
        lr=made["lr"],
    )


def vgg(case: Case):
    """A narrow VGG19, where the perceptual term has a weight."""
    if not case["constructor"]["lambda_vgg"]:
        return None
    network = Vgg(19, VGG_TAPS, widths=case["vgg_stage_widths"])
    own = {re.sub(r"slice\d\.", "layers.", key): tensor for key, tensor in case.state("vgg").items()}
    network.load_state_dict(own)
    return network.double()


SPADE_NAMES = {"D_fake": "D_fake", "D_real": "D_real", "G_gan": "G_gan", "G_features": "G_feat"}


@pytest.mark.parametrize("path", SPADE, ids=lambda p: p.stem)
def test_spade(path):
    case = Case(path)
    made = case["constructor"]
    spec = spade(made["netG"], made["ngf"], made, spectral=made["norm_G"].startswith("spectral"))
    generator = load(spec.build(), spec, case.state("G"))
    discriminator, judge = multiscale(case)
    perceptual = vgg(case)
    objective = Spade(SpadeSettings(**spade_terms(made)), generator, discriminator, perceptual)
    names = {**SPADE_NAMES, **({"G_perceptual": "G_vgg"} if perceptual else {})}

    def states():
        return {
            "G": to_official(generator.state_dict(), spec),
            "D": to_official(discriminator.state_dict(), judge),
        }

    run(case, objective, names, states)


@pytest.mark.parametrize("path", SPADE_STUDENTS, ids=lambda p: p.stem)
def test_spade_supernet(path):
    case = Case(path)
    made = case["constructor"]
    teacher_spec = spade(made["teacher_netG"], made["teacher_ngf"], made, spectral=False)
    student_spec = spade(made["student_netG"], made["student_ngf"], made, spectral=False)
    teacher = load(teacher_spec.build(), teacher_spec, case.state("G_teacher"))
    space = fixed_space(student_spec, made["config_str"])
    student = Supernet(student_spec)
    load(student.network, student_spec, case.state("G_student"))
    discriminator, judge = multiscale(case)
    taps = student_spec.taps
    adaptors = Adaptors({t: (student_spec.tap_channels(t), teacher_spec.tap_channels(t)) for t in taps})
    for number, tap in enumerate(taps):
        adaptors.taps[tap].load_state_dict(case.state(f"A{number}"))
    settings = SpadeDistilSettings(**spade_terms(made), distil=made["lambda_distill"])
    objective = SpadeDistiller(settings, teacher, student, adaptors.double(), discriminator, space, vgg(case))
    subnet = skeleton(student_spec.resized(space.widths(space.largest))).state_dict()
    before = {name: tensor.clone() for name, tensor in student.network.state_dict().items()}

    def states():
        own = {name: tensor.clone() for name, tensor in student.network.state_dict().items()}
        for name in own:
            norm, _, part = name.rpartition(".")
            if part in ("running_mean", "running_var"):
                # The official code pads narrow inputs with channels of zeros, so that the statistics of the
                # channels that are not in use decay at every forward in training. Ours leave them alone.
                counter = f"{norm}.num_batches_tracked"
                forwards = (own[counter] - before[counter]).item()
                idle = slice(len(subnet[name]), None)
                assert torch.equal(own[name][idle], before[name][idle])
                own[name][idle] *= 0.9**forwards
        return {
            "G_student": to_official(own, student_spec),
            "D": to_official(discriminator.state_dict(), judge),
            **{f"A{n}": adaptors.taps[tap].state_dict() for n, tap in enumerate(taps)},
        }

    run(case, objective, {**SPADE_NAMES, "G_distil": "G_distill"}, states)


def omgd_generator(kind: str, width: int, norm: str):
    if kind.startswith("unet"):
        return UnetSpec.uniform(width, norm=norm, residuals=2 if "deepest" in kind else 0)
    return DeepResnetSpec.uniform(width, norm=norm) if "deepest" in kind else resnet(kind, width, norm)


def omgd_perceptual(case: Case, terms: OnlineSettings):
    """A narrow VGG16 up to the fourth stage, where a perceptual term has a weight."""
    if not terms.style:
        return None
    network = Vgg(16, OMGD_TAPS, widths=[*case["vgg_stage_widths"], 1])
    own = {re.sub(r"vgg\.to_relu_\d_\d\.", "layers.", key): tensor for key, tensor in case.state("vgg").items()}
    assert {key for key in network.state_dict() if int(key.split(".")[1]) < 24} == own.keys()
    network.load_state_dict(own, strict=False)
    return Perceptual(network, from_zero=True).double()


OMGD_TEACHING = {
    f"{term}_{teacher}": f"{term}_{teacher[0]}"
    for term in ("D_fake", "D_real", "G_gan", "G_recon")
    for teacher in ("wide", "deep")
}
OMGD_NAMES = OMGD_TEACHING | {
    "G_ssim_deep": "G_SSIM",
    "G_tv": "G_tv",
    "G_style_deep": "G_style",
    "G_feature_deep": "G_feature",
    "G_channel": "G_CD",
}


@pytest.mark.parametrize("path", ONLINE, ids=lambda p: p.stem)
def test_omgd(path):
    case = Case(path)
    made = case["constructor"]
    ssim, style, feature, total_variation = map(float, made["AGD_weights"].split(","))
    settings = OnlineSettings(
        teaching=Pix2PixSettings(
            gan_mode=made["gan_mode"],
            gan=made["lambda_gan"],
            recon=made["lambda_recon"],
            recon_loss=made["recon_loss_type"],
            lr=made["lr"],
            betas=(made["beta1"], 0.999),
        ),
        n_dis=made["n_dis"],
        ssim=ssim,
        style=style,
        feature=feature,
        total_variation=total_variation,
        channel=made["lambda_CD"],
        lr=made["lr"],
        betas=(made["beta1"], 0.999),
    )
    specs = {
        role: omgd_generator(made[kind], made[width], made["norm"])
        for role, kind, width in (
            ("G_student", "student_netG", "student_ngf"),
            ("G_teacher_w", "teacher_netG_w", "teacher_ngf_w"),
            ("G_teacher_d", "teacher_netG_d", "teacher_ngf_d"),
        )
    }
    networks = {role: load(spec.build(), spec, case.state(role)) for role, spec in specs.items()}
    judge = SharedPatchSpec(width=made["ndf"], norm=made["norm"], heads=2, shared=made["n_share"])
    ours = to_official(judge.build().state_dict(), judge)
    # what the official discriminator holds and never uses: nothing of it may change
    idle = {key: tensor.double() for key, tensor in case.state("D").items() if key not in ours}
    discriminator = load(
        judge.build(), judge, {key: tensor for key, tensor in case.state("D").items() if key in ours}
    )
    student, wide = specs["G_student"], specs["G_teacher_w"]
    connectors = None
    if settings.channel:
        connectors = ChannelConnectors({t: (student.tap_channels(t), wide.tap_channels(t)) for t in student.taps})
        for number, tap in enumerate(student.taps):
            connectors.taps[tap].load_state_dict(case.state(f"A{number}"))
        connectors.double()
    objective = OnlineDistiller(
        settings,
        networks["G_student"],
        discriminator,
        wide=networks["G_teacher_w"],
        deep=networks["G_teacher_d"],
        connectors=connectors,
        perceptual=omgd_perceptual(case, settings),
    )

    for number, want in enumerate(case["steps"], 1):
        told = {name: loss.item() for name, loss in objective.step(inputs(case, number), random.Random(0)).items()}
        turn, student_terms = want["teachers_and_D_updated"], 0.0
        # the official code repeats the losses of those whose turn it is not
        assert {name for name in told if name in OMGD_TEACHING} == (set(OMGD_TEACHING) if turn else set())
        for name, loss in told.items():
            if name not in OMGD_TEACHING:
                student_terms += loss
            official = OMGD_NAMES.get(name)
            # of the student's terms, those from the deep teacher are on record; of smoothness, ours is for both
            assert official or name.endswith("_wide")
            if name == "G_tv":
                loss /= 2
            if official:
                assert abs(loss - want["losses"][official]) <= 1e-8 * abs(want["losses"][official]), name
        assert abs(student_terms - want["losses"]["G_student"]) <= 1e-8 * want["losses"]["G_student"]
        missing = {official for name, official in OMGD_NAMES.items() if name not in told | OMGD_TEACHING}
        assert not any(want["losses"].get(official) for official in missing)

    states = {role: to_official(network.state_dict(), specs[role]) for role, network in networks.items()}
    states["D"] = {**to_official(discriminator.state_dict(), judge), **idle}
    if connectors:
        states |= {f"A{n}": connectors.taps[tap].state_dict() for n, tap in enumerate(student.taps)}
    assert states.keys() == case["after"].keys()
    assert_tensors(states, case["after"])
