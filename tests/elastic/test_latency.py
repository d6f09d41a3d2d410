"""The latency model: its features against modules, its arithmetic against closed form and SciPy."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch import nn

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import WORK, CostModel, Costs
from pocketgan.elastic.latency import LatencyModel, non_negative
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import BudgetError
from pocketgan.networks import ResnetSpec
from pocketgan.networks.layers import InstanceNorm
from tests.elastic.toys import genomes

SPACE = space_named("6_4_3", ResnetSpec.uniform(6, blocks=2).mobile)
SIZE = (16, 24)


def counted(network: nn.Module, channels: int) -> dict[str, int]:
    """What hooks see of one forward, by the modules' own kinds: an oracle of `work`."""
    seen = dict.fromkeys(WORK, 0)

    def note(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        seen["layers"] += 1
        if isinstance(module, InstanceNorm):
            seen["norms"] += output.numel()
            return
        at = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        macs = module.weight.numel() * at[0, 0].numel()
        if module.groups > 1:
            kind = "depthwise"
        elif isinstance(module, nn.ConvTranspose2d):
            kind = "transposed"
        elif module.in_channels == channels:
            kind = "head"
        elif module.out_channels == 3:
            kind = "tail"
        else:
            kind = "pointwise" if module.kernel_size == (1, 1) else "dense"
        seen[kind] += macs
        seen["upsampled" if isinstance(module, nn.ConvTranspose2d) else "elements"] += output.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | InstanceNorm):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, channels, *SIZE))
    return seen


@pytest.mark.parametrize("text", ["6_4", "6_4,depth=2_1"])
def test_work_is_what_the_modules_do(text):
    space = space_named(text, ResnetSpec.uniform(6, blocks=2).mobile)
    drawn = genomes(space, 3)
    work = CostModel(space.spec, *SIZE).work(space, np.array(drawn))
    for row, genome in zip(work, drawn, strict=True):
        assert dict(zip(WORK, row.tolist(), strict=True)) == counted(space.subspec(genome).build().eval(), 3)


def test_all_multiplies_are_some_kind_of_work():
    spec = ResnetSpec.uniform(5, blocks=1)
    space = SearchSpace.over("two", spec, ((4, 2),) * len(spec.ties))
    drawn = np.array(genomes(space, 4))
    model = CostModel(space.spec, 32)
    macs = model.work(space, drawn)[:, : WORK.index("elements")].sum(axis=1)
    assert macs.tolist() == model.of(space, drawn).true_macs.tolist()


def test_latencies_that_are_linear_are_recovered():
    """Made-up milliseconds: of networks that the fit has not seen, too."""
    units = np.random.default_rng(0).uniform(0, 1, len(WORK)) * (
        1e-5,
        2e-5,
        0,
        3e-5,
        1e-5,
        1e-5,
        1,
        1e-4,
        0,
        1e-4,
        0.1,
    )
    drawn = np.array(genomes(SPACE, 60))
    work = CostModel(SPACE.spec, *SIZE).work(SPACE, drawn)
    ms = work @ units
    model = LatencyModel.fit(work[:30], ms[:30])
    assert model.error == pytest.approx(0, abs=1e-9)
    assert model.worst == pytest.approx(0, abs=1e-8)
    assert model(work) == pytest.approx(ms, rel=1e-6)
    assert LatencyModel.model_validate_json(model.model_dump_json()) == model


def test_the_error_is_that_of_networks_left_out():
    """Of one kind of work with a unit of 1, and one network that takes twice as long."""
    work = np.zeros((4, len(WORK)))
    work[:, 0] = [1, 2, 3, 4]
    ms = np.array([1.0, 2.0, 3.0, 8.0])
    model = LatencyModel.fit(work, ms)
    # left out, the last is taken for 4; of the others the unit c is the least of 2 (1 - c)^2 + (1 - c / 2)^2
    unit = 2.5 / 2.25
    assert model.worst == pytest.approx(0.5)
    assert model.error == pytest.approx((0.5 + 3 * (unit - 1)) / 4)


@pytest.mark.parametrize("seed", range(20))
def test_non_negative_least_squares_are_scipys(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(12, 5)), rng.normal(size=12)
    a[:, 4] = a[:, 1] + a[:, 2] if seed % 2 else a[:, 4]
    wanted, residual = nnls(a, b)
    found = non_negative(a, b)
    assert found.min() >= 0
    assert np.linalg.norm(a @ found - b) == pytest.approx(residual, rel=1e-8)
    if not seed % 2:
        assert found == pytest.approx(wanted, abs=1e-8)


def test_a_budget_admits_by_prediction():
    def timing(work):
        return work[:, WORK.index("norms")] * 1e-3

    model = CostModel(SPACE.spec, *SIZE, timing=timing)
    drawn = np.array(genomes(SPACE, 20))
    ms = model.of(SPACE, drawn).latency_ms
    bound = float(np.median(ms))
    budget = Budget(latency_ms=bound, runtime="onnxruntime:1")
    assert budget.admits(model.of(SPACE, drawn)).tolist() == (ms <= bound).tolist()
    both = budget.model_copy(update={"params": 1})
    assert not both.admits(model.of(SPACE, drawn)).any()
    least = float(model.of(SPACE, np.array([SPACE.smallest])).latency_ms[0])
    budget.model_copy(update={"latency_ms": least}).check(SPACE, model)
    with pytest.raises(BudgetError) as error:
        Budget(latency_ms=least / 2, runtime="onnxruntime:1").check(SPACE, model)
    assert str(error.value) == (
        f"budget {least / 2:.2f} ms on onnxruntime:1 is below the smallest subnet of 6_4_3 ({least:.2f} ms: "
        f"{SPACE.text(SPACE.smallest)}); raise it or choose a smaller space"
    )


def test_no_latency_passes_without_a_model():
    budget = Budget(latency_ms=1, runtime="onnxruntime:1")
    budget.check(SPACE, CostModel(SPACE.spec, *SIZE))  # the model is not made yet
    one = np.ones(1, dtype=np.int64)
    with pytest.raises(AssertionError):
        budget.admits(Costs(params=one, macs=one, true_macs=one))
