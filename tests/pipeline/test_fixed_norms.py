"""Fixed norms in the place of instance norms: what is kept, what is learnt, and that a stop changes nothing."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pocketgan.data.task import open_task
from pocketgan.elastic.calibrate import calibrate
from pocketgan.errors import SpecError
from pocketgan.models import load_model, save_model
from pocketgan.networks import DeepResnetSpec, MunitSpec, ResnetSpec, UnetSpec, initialise
from pocketgan.networks.layers import InstanceNorm
from pocketgan.objectives.fixed_norms import FixedNormsSettings
from pocketgan.pipeline.fixed_norms import FixNorms, fixed, with_fixed_norms
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.runtime import Runtime
from pocketgan.training.schedule import Schedule
from tests.conftest import draw_pairs
from tests.pipeline.test_online import equal, state, stopped_and_resumed

SPEC = ResnetSpec.uniform(2, blocks=1, separable=("residual",))


def network_of(spec):
    return initialise(spec.build(), torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> FixNorms:
    folder = tmp_path_factory.mktemp("fixed-norms")
    save_model(folder / "model", network_of(SPEC), {})
    return FixNorms(
        task=open_task(draw_pairs(folder / "pairs"), size=16),
        teacher=TeacherFile.of(folder / "model"),
        schedule=Schedule(constant=1, decay=1, batch_size=2),
        objective=FixedNormsSettings(truth=0.5, features=0.5),
    )


@pytest.mark.parametrize("spec", [SPEC, UnetSpec.uniform(4, levels=5, norm="instance")], ids=lambda spec: spec.kind)
@torch.no_grad()
def test_statistics_of_one_image_make_its_picture(spec):
    """Those of the image itself are what an instance norm takes, but for a variance over one position less."""
    network = network_of(spec)
    for name, bias in network.named_parameters():
        if name.endswith("bias"):
            bias.normal_(generator=torch.Generator().manual_seed(1))
    made = with_fixed_norms(network)
    x, other = (torch.rand(2, 1, 3, 128, 128, generator=torch.Generator().manual_seed(2)) - 0.5) * 2
    x = x * torch.linspace(0, 1, 128)
    wanted = network(x)
    calibrate(made, [x])
    far = with_fixed_norms(network)
    calibrate(far, [other])
    assert (made.eval()(x) - wanted).abs().mean() < 0.05 < 2 * (far.eval()(x) - wanted).abs().mean()
    kinds = {type(module) for module in made.modules()}
    assert nn.BatchNorm2d in kinds
    assert InstanceNorm not in kinds


def test_it_learns_with_the_statistics_that_it_was_given(stage, tmp_path):
    artifact = Store(tmp_path).realise(stage, Runtime(device="cpu"))
    left = load_model(artifact / "model")
    assert left.spec == stage.spec() == SPEC.model_copy(update={"norm": "batch", "separable_norm": "batch"})
    still = Store(tmp_path).realise(
        stage.model_copy(update={"objective": stage.objective.model_copy(update={"lr": 1e-30})}),
        Runtime(device="cpu"),
    )
    before, after = state(still / "model"), state(artifact / "model")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name, _ in left.network.named_parameters()}


@pytest.mark.parametrize("after", [1, 4])
def test_a_stop_changes_nothing(stage, tmp_path: Path, after):
    whole = Store(tmp_path / "whole").realise(stage, Runtime(device="cpu", checkpoint_seconds=0))
    again = stopped_and_resumed(stage, tmp_path / "stopped", after)
    assert equal(state(whole / "model"), state(again / "model"))


FORMS = "without instance norm there are forms of a resnet and of a unet that is not decomposed, and this is"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (MunitSpec.uniform(1), f"{FORMS} a munit; export it as it is"),
        (DeepResnetSpec.uniform(1), f"{FORMS} a deep_resnet; export it as it is"),
        (
            UnetSpec.uniform(1, separable=("up",)),
            f"{FORMS} a unet with decomposed convolutions; export it as it is",
        ),
        (
            ResnetSpec.uniform(1, norm="batch"),
            "this resnet has no instance norm; export it, and its norms are folded away",
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_what_has_no_such_form(spec, told):
    with pytest.raises(SpecError) as error:
        fixed(spec)
    assert str(error.value) == told


def test_another_padding():
    assert fixed(SPEC, "zero") == SPEC.with_fixed_norms.model_copy(update={"padding": "zero"})
    assert fixed(SPEC.with_fixed_norms, "zero").padding == "zero"
    with pytest.raises(SpecError, match="a unet has no choice of padding; leave out --set padding=zero"):
        fixed(UnetSpec.uniform(1, norm="instance"), "zero")
