"""Losses, adaptors and the learning rate equal the official ones."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.distillation import Adaptors, ChannelConnectors
from pocketgan.losses.perceptual import feature_loss, gram, grams, style_distance, vgg_loss
from pocketgan.losses.structural import ssim_loss, total_variation
from pocketgan.pretrained.vgg import Vgg
from pocketgan.training.schedule import Schedule
from tests.parity.golden import GOLDEN, Case, cases

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")


def test_learning_rate_schedule():
    values = json.loads((GOLDEN / "metrics" / "lr_schedule.json").read_text())["values"]
    for name, rows in values.items():
        if name.startswith("linear_"):
            constant, decay = (int(part[1:]) for part in name.split("_")[1:3])
            schedule = Schedule(constant=constant, decay=decay)
            for row in rows:
                assert 2e-4 * schedule.factor(row["epoch"] - 1) == pytest.approx(row["lr"], rel=1e-12)


def test_gan_losses():
    case = Case(GOLDEN / "losses" / "gan_losses.json")
    scores = [case.input(f"pred{i}").double() for i in range(3)]
    features = [case.input(f"feat{i}").double() for i in range(3)]
    kinds = {f"single{i}": scores[i] for i in range(3)} | {
        "list": scores,
        "list_of_lists": [list(pair) for pair in zip(features, scores, strict=True)],
    }
    terms = {"D_real": real_loss, "D_fake": fake_loss, "G": fool_loss}
    for mode, rows in case["values"].items():
        for kind, wanted in rows.items():
            for term, want in wanted.items():
                assert terms[term](kinds[kind], mode).item() == pytest.approx(want, rel=1e-6), (
                    mode,
                    kind,
                    term,
                )


def test_adaptors():
    case = Case(GOLDEN / "losses" / "gc_distill_adaptors.json")
    for i in (0, 1):
        student = case.input(f"S{i}").double().requires_grad_()
        teacher = case.input(f"T{i}").double()
        adaptors = Adaptors({"t": (student.shape[1], teacher.shape[1])}).double()
        state = case.state(f"A{i}")
        adaptors.taps["t"].load_state_dict({k: v.double() for k, v in state.items()})
        loss = adaptors({"t": student}, {"t": teacher})["t"]
        assert loss.item() == pytest.approx(case["values"][f"distill{i}"], rel=1e-6)
        narrow = case["values"][f"super_distill{i}"]
        cut = adaptors({"t": student[:, : narrow["student_channels"]]}, {"t": teacher})["t"]
        assert cut.item() == pytest.approx(narrow["value"], rel=1e-6)
        loss.backward()
        for name, got in (
            (f"grad.S{i}", student.grad),
            (f"grad.A{i}.weight", adaptors.taps["t"].weight.grad),
        ):
            want = case.tensors[name].double()
            assert (got - want).abs().max() <= 1e-4 * want.abs().max()


def close_gradient(got, want, rel=1e-4):
    """The golden README's tolerance of a gradient in float64."""
    return (got - want.double()).abs().max() <= max(rel * want.abs().max().item(), 1e-9)


def close_output(got, want):
    """The golden README's tolerances of an output."""
    if got.dtype == torch.float32:
        return (got - want).abs().max() <= 1e-5
    return ((got - want).abs() <= 1e-6 * want.abs().clamp(min=1)).all()


@pytest.mark.parametrize("number", range(3))
def test_ssim_and_total_variation(number):
    case = Case(GOLDEN / "losses" / "omgd_ssim_tv_gram.json")
    a, b = (case.input(f"ssim{number}.{name}").double() for name in "ab")
    a.requires_grad_()
    loss = ssim_loss(a, b)
    assert loss.item() == pytest.approx(case["values"][f"ssim{number}_ones_minus"], rel=1e-6)
    assert ssim_loss(a, a).item() == pytest.approx(1 - case["values"][f"ssim{number}_identical"], abs=1e-12)
    assert total_variation(a).item() == pytest.approx(case["values"][f"tv{number}"], rel=1e-6)
    loss.backward()
    assert close_gradient(-a.grad, case.tensors[f"grad.ssim{number}.a"])


@pytest.mark.parametrize("number", range(2))
def test_gram_matrices(number):
    case = Case(GOLDEN / "losses" / "omgd_ssim_tv_gram.json")
    a, b = (case.input(f"gram{number}.{name}").double() for name in "ab")
    assert close_output(gram(a), case.tensors[f"output.gram{number}.a"].double())
    style = style_distance({"t": gram(a)}, {"t": gram(b)})
    assert style.item() == pytest.approx(case["values"][f"style{number}"], rel=1e-6)
    assert feature_loss(a, b).item() == pytest.approx(case["values"][f"feature{number}"], rel=1e-6)


def official_vgg(case, depth, taps, tmp_path):
    """VGG with the case's weights, read from a file with official names, and the case's precision.

    The full-width cases were recorded in float32, the others in float64.
    """
    save_file(case.state(), tmp_path / "vgg.safetensors")
    widths = case.json.get("constructor", {}).get("stage_widths", (64, 128, 256, 512, 512))
    dtype = torch.float32 if "formula" in case.json else torch.float64
    return Vgg.load(depth, taps, tmp_path / "vgg.safetensors", widths=widths).to(dtype), dtype


def check_outputs(case, features):
    stored = case.results("output")
    assert stored
    for tap, (stride, want) in stored.items():
        assert close_output(features[tap][..., ::stride, ::stride], want), tap


@pytest.mark.parametrize("path", cases("losses", lambda name: name.startswith("omgd_vgg16")), ids=lambda p: p.stem)
def test_omgd_perceptual_losses(path, tmp_path):
    case = Case(path)
    vgg, dtype = official_vgg(case, 16, ("relu1_2", "relu2_2", "relu3_3", "relu4_3"), tmp_path)
    x = case.input("x").to(dtype).requires_grad_()
    features = vgg((x + 1) / 2)
    check_outputs(case, features)
    if "values" in case.json:
        targets = vgg((case.input("y").to(dtype) + 1) / 2)
        style = style_distance(grams(features), grams(targets))
        feature = feature_loss(features["relu2_2"], targets["relu2_2"])
        total = 1e4 * style + 10 * feature
        assert style.item() == pytest.approx(case["values"]["style"], rel=1e-6)
        assert feature.item() == pytest.approx(case["values"]["feature"], rel=1e-6)
        assert total.item() == pytest.approx(case["values"]["total_1e4_style_plus_10_feature"], rel=1e-6)
        total.backward()
        assert close_gradient(x.grad, case.tensors["grad.student_style_feature"])


@pytest.mark.parametrize("path", cases("losses", lambda name: name.startswith("spade_vgg19")), ids=lambda p: p.stem)
def test_spade_vgg_loss(path, tmp_path):
    case = Case(path)
    vgg, dtype = official_vgg(case, 19, [f"relu{stage}_1" for stage in range(1, 6)], tmp_path)
    x = case.input("x").to(dtype).requires_grad_()
    features = vgg(x)
    check_outputs(case, features)
    loss = vgg_loss(features, vgg(case.input("y").to(dtype)))
    exact = dtype == torch.float64
    assert loss.item() == pytest.approx(case["values"]["VGGLoss"], rel=1e-6 if exact else 1e-4)
    if exact:
        loss.backward()
        assert close_gradient(x.grad, case.tensors["grad.vggloss_x"])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_channel_distillation(mode):
    case = Case(GOLDEN / "losses" / "omgd_channel_distillation.json")
    students = {f"t{i}": case.input(f"student{i}").double().requires_grad_() for i in range(2)}
    teachers = {f"t{i}": case.input(f"teacher{i}").double() for i in range(2)}
    connectors = ChannelConnectors({t: (students[t].shape[1], teachers[t].shape[1]) for t in students}).double()
    for i in range(2):
        connectors.taps[f"t{i}"].load_state_dict(case.state(f"connector{i}"))
    terms = connectors.train(mode == "train")(students, teachers)
    sum(terms.values()).backward()
    for i in range(2):
        assert terms[f"t{i}"].item() == pytest.approx(case["values"][f"cd{i}_{mode}"], rel=1e-6)
        assert close_gradient(students[f"t{i}"].grad, case.tensors[f"grad.student{i}.{mode}"])
    if mode == "train":
        assert sum(terms.values()).item() == pytest.approx(case["values"]["sum_train"], rel=1e-6)
        for i in range(2):
            norm = connectors.taps[f"t{i}"][1]
            for name, got in (("mean", norm.running_mean), ("var", norm.running_var)):
                assert got.tolist() == pytest.approx(case["values"][f"connector{i}_running_{name}_after"], rel=1e-6)
