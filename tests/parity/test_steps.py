"""Training steps equal the official ones, in float64: losses, gradients' effects, weights after each step."""

import random

import pytest

from pocketgan.data.batches import Batch
from pocketgan.elastic.space import Choice, SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.interop.official import from_official, to_official
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import PatchSpec, ResnetSpec, read_numbers
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from tests.parity.golden import GOLDEN, Case, cases

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")

TEACHERS = cases("steps", lambda name: name.startswith("pix2pix"))
STUDENTS = cases("steps", lambda name: name.startswith(("distill_resnet", "supernet_resnet")))


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
    return abs(got - want) <= 1e-8 * max(1.0, abs(want))


def assert_tensors(states: dict, wanted: dict) -> None:
    for player, tensors in wanted.items():
        for name, want in tensors.items():
            tensor = states[player][name]
            assert close(tensor.mean().item(), want["mean"]), (player, name)
            assert close(tensor.abs().mean().item(), want["abs_mean"]), (player, name)
            for got, value in zip(tensor.flatten().tolist(), want.get("first8", []), strict=False):
                assert close(got, value), (player, name)


def run(case: Case, objective, losses_of: dict[str, str], states) -> None:
    for number, want in enumerate(case["steps"], 1):
        a, b = (case.tensors[f"input_u8.step{number}.{side}"].double() / 127.5 - 1 for side in "AB")
        if case["constructor"].get("direction") == "BtoA":
            a, b = b, a
        got = objective.step(Batch(x=a, y=b, names=("",) * len(a)), random.Random(0))
        for ours, theirs in losses_of.items():
            assert abs(got[ours].item() - want["losses"][theirs]) <= 1e-8 * abs(want["losses"][theirs]), ours
        if "after" in want:
            assert_tensors(states(), want["after"])
    assert_tensors(states(), case["after_last"])


@pytest.mark.parametrize("path", TEACHERS, ids=lambda p: p.stem)
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
        choices = zip(student_spec.ties, read_numbers(made["config_str"]), strict=True)
        space = SearchSpace(
            name="fixed",
            spec=student_spec,
            choices=tuple(Choice(positions=p, options=(n,)) for p, n in choices),
        )
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
