"""Recognising U-Nets, OMGD's deep networks and discriminators, and pixel discriminators."""

import pytest
import torch

from pocketgan.interop.importing import recognise
from pocketgan.interop.official import to_official
from pocketgan.networks import DeepResnetSpec, PatchSpec, PixelSpec, SharedPatchSpec, UnetSpec

SPECS = [
    UnetSpec.uniform(2, levels=7),
    UnetSpec.of("5_4_3_2_1", levels=5, norm="instance", in_channels=1, out_channels=2),
    UnetSpec(levels=5, widths=(5, 4, 3, 2, 1, 1, 3, 4, 5)),
    UnetSpec.uniform(1, residuals=2),
    UnetSpec.of("5_4_3_2_1", levels=5, residuals=1),
    DeepResnetSpec.of("8_7_6_5_4_3_2_1", norm="batch", in_channels=1),
    DeepResnetSpec.uniform(2),
    SharedPatchSpec(width=2, in_channels=3, norm="batch"),
    SharedPatchSpec(width=2, layers=4),
    PixelSpec(width=3, norm="batch"),
    PixelSpec(width=3, in_channels=3),
]


def official(spec, **options) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return to_official(spec.build().state_dict(), spec, **options)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_from_keys_and_shapes(spec):
    assert recognise(official(spec)).spec == spec


def test_each_group_is_read_from_its_own_layer():
    for blank in (UnetSpec.uniform(1, levels=5, residuals=1), DeepResnetSpec.uniform(1)):
        spec = blank.resized(tuple(range(1, len(blank.widths) + 1)))
        assert recognise(official(spec)).spec == spec


def test_what_shapes_cannot_tell():
    state = official(UnetSpec.uniform(2, levels=5))
    assert recognise(state).assumptions == ("dropout=0: matters only in training",)
    assert recognise(state, dropout=0.5).spec == UnetSpec.uniform(2, levels=5, dropout=0.5)
    partly = SharedPatchSpec(width=2, shared=2, heads=3)
    assert recognise(official(partly)).spec == partly
    every = official(SharedPatchSpec(width=2, shared=0))
    assert recognise(every).spec == SharedPatchSpec(width=2)
    found = recognise(every, shared=3)
    assert found.spec == SharedPatchSpec(width=2, shared=3)
    assert set(every) - set(found.state) == {
        f"block{layer}s.0.block.0.{tensor}" for layer in (1, 2, 3) for tensor in ("weight", "bias")
    }


def test_idle_statistics_of_old_instance_norms():
    state = official(UnetSpec.uniform(2, levels=5, norm="instance"))
    idle = {f"model.model.1.model.2.running_{name}": torch.ones(4) for name in ("mean", "var")}
    assert recognise({**state, **idle}).spec.norm == "instance"


def test_not_taken_for_another():
    assert isinstance(recognise(official(PatchSpec(width=2))).spec, PatchSpec)
