"""Losses, adaptors and the learning rate equal the official ones."""

import json

import pytest

from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.distillation import Adaptors
from pocketgan.training.schedule import Schedule
from tests.parity.golden import GOLDEN, Case

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
