"""Pruning, extraction, costs, spaces and schedules equal the official ones exactly."""

import hashlib
import json

import numpy as np
import pytest
import torch

from pocketgan.elastic.cost import CostModel, cost, layer_costs
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.spaces import RESNET, resnet_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.interop.official import from_official, to_official
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import ResnetSpec, read_numbers, write_numbers
from pocketgan.training.schedule import Schedule
from tests.parity.golden import GOLDEN, Case, cases

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")


@pytest.mark.parametrize("path", cases("weight_transfer", lambda n: "resnet" in n), ids=lambda p: p.stem)
def test_weight_transfer(path):
    case = Case(path)
    made = case["constructor"]
    separable = ("residual",) if "mobile" in made["architecture"] else ()
    teacher = ResnetSpec.uniform(made["teacher_ngf"], separable=separable)
    student = ResnetSpec.uniform(made["student_ngf"], separable=separable)
    network = teacher.build()
    network.load_state_dict(from_official(case.state("teacher"), teacher))
    pruned = to_official(keep_important(network, teacher, student.widths), student)
    wanted = case.state("student")
    assert pruned.keys() == wanted.keys()
    for name, want in wanted.items():
        assert torch.equal(pruned[name], want), name


@pytest.mark.parametrize("path", cases("export", lambda n: "resnet" in n), ids=lambda p: p.stem)
def test_extraction(path):
    case = Case(path)
    spec = ResnetSpec.uniform(max(case.state("super")["model.26.weight"].shape), separable=("residual",))
    spec = spec.model_copy(update={"widths": (case.state("super")["model.1.weight"].shape[0],) * len(spec.widths)})
    supernet = Supernet(spec)
    supernet.network.load_state_dict(from_official(case.state("super"), spec))
    for numbers, hashes in case["sub_state_hashes"].items():
        widths = ResnetSpec.of(numbers).widths
        subnet = to_official(supernet.extract(widths).state_dict(), spec)
        assert subnet.keys() == hashes.keys()
        for name, want in hashes.items():
            data = subnet[name].numpy().astype("<f4").tobytes()
            assert hashlib.sha256(data).hexdigest() == want["sha256_float32_le"], (numbers, name)
        stored = case.state(f"sub_{numbers}")
        assert all(torch.equal(subnet[name], value) for name, value in stored.items())


def test_macs():
    values = json.loads((GOLDEN / "macs" / "macs_gan_compression.json").read_text())["values"]
    mobile = dict(separable=("residual",))
    checked = 0
    for family, rows in values.items():
        if "resnet" not in family:
            continue
        for row in rows:
            if "channels" in row:
                spec = ResnetSpec.of(tuple(row["channels"]), legacy="legacy" in family, **mobile)
            else:
                spec = ResnetSpec.uniform(row.get("ngf") or row["width"], **(mobile if "mobile" in family else {}))
            found = cost(spec, 256)
            assert found["params"] == row["params"]
            assert found["true_macs"] == row["true"]
            assert found["macs"] == row["legacy_plus_instance_norm"] == row["torchprofile_0_0_1"]
            assert sum(layer.norm for layer in layer_costs(spec, 256)) == row["parts"]["instance_norm"]
            checked += 1
    assert checked >= 40


def test_cost_model_agrees_on_golden_lists():
    values = json.loads((GOLDEN / "macs" / "macs_gan_compression.json").read_text())["values"]
    rows = values["sub_mobile_resnet_256x256"]
    spec = ResnetSpec.uniform(64, separable=("residual",))
    widths = np.array([ResnetSpec.of(tuple(row["channels"])).widths for row in rows])
    found = CostModel(spec, 256)(widths)
    assert found.macs.tolist() == [row["legacy_plus_instance_norm"] for row in rows]
    assert found.true_macs.tolist() == [row["true"] for row in rows]
    assert found.params.tolist() == [row["params"] for row in rows]


def test_search_spaces():
    golden = json.loads((GOLDEN / "metrics" / "search_spaces.json").read_text())["values"]
    for row in golden["encode"]:
        assert write_numbers(tuple(row["channels"])) == row["string"]
        assert read_numbers(row["string"]) == tuple(row["channels"])
    published = {k.removeprefix("resnet/"): v for k, v in golden["spaces"].items() if k.startswith("resnet/")}
    assert published.keys() == RESNET.keys()
    for name, options in published.items():
        assert [sorted(c.options) for c in resnet_space(name).choices] == [sorted(o) for o in options]


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
