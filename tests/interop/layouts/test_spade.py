"""Recognising SPADE's files: full and decomposed, for one width list, with spectral norm, discriminators."""

import pytest
import torch

from pocketgan.interop.layouts import spade
from pocketgan.interop.layouts.base import UNLIKE
from pocketgan.networks import MultiscaleSpec, SpadeSpec

GENERATORS = [
    SpadeSpec.uniform(2, in_channels=6),
    SpadeSpec.uniform(2, in_channels=6, spectral=True, norm="instance"),
    SpadeSpec.uniform(2, in_channels=6, hidden=5),
    SpadeSpec.uniform(4, in_channels=6, upsampling="most", separable=("modulation",)),
    SpadeSpec.of("3_1_2_3_2_1_3_2", in_channels=6, out_channels=1, separable=("modulation",)),
    SpadeSpec.uniform(1, in_channels=6, separable=("modulation", "residual"), separable_norm="batch"),
    MultiscaleSpec(in_channels=9, width=4),
    MultiscaleSpec(in_channels=9, width=4, layers=3, scales=3, norm=None),
    MultiscaleSpec(in_channels=9, width=4, norm="batch", spectral=False),
]


def official(spec) -> dict[str, torch.Tensor]:
    """The official keys of a network, on the meta device."""
    modules = spade.names(spec)
    inside = {".depthwise": ".conv.0", ".pointwise": ".conv.2"}
    state = {}
    with torch.device("meta"):
        network = spec.build()
    for key, tensor in network.state_dict().items():
        module, _, name = key.rpartition(".")
        end = next((part for part in inside if module.endswith(part)), "")
        state[f"{modules[module.removesuffix(end)]}{inside.get(end, '')}.{name}"] = tensor
    return state


@pytest.mark.parametrize("spec", GENERATORS, ids=lambda spec: spec.kind)
def test_from_keys_and_shapes(spec):
    state = official(spec)
    assert len(state) == len(spec.build().state_dict())
    found = spade.recognise(state)
    assert found.spec == spec
    loaded = found.state or state
    assert {key: value.shape for key, value in loaded.items()} == {key: value.shape for key, value in state.items()}


def test_what_shapes_cannot_tell():
    state = official(SpadeSpec.uniform(1, separable=("modulation",)))
    found = spade.recognise(state)
    assert [text.partition(":")[0] for text in found.assumptions] == ["upsampling=more", "separable_norm=instance"]
    found = spade.recognise(state, upsampling="normal", separable_norm="none")
    assert (found.spec.upsampling, found.spec.separable_norm) == ("normal", None)
    assert spade.recognise(official(SpadeSpec.uniform(1, in_channels=184))).spec.upsampling == "normal"


def test_wide_statistics():
    """A network of one width list, written for GAN Compression's code, and read back."""
    spec = SpadeSpec.of("2_1_1_2_2_1_1_2", in_channels=6, separable=("modulation",))
    state = {key: torch.rand(tensor.shape) for key, tensor in official(spec).items()}
    wide = spade.widened(state, spec, 3)
    assert wide["head_0.norm_1.param_free_norm.running_mean"].shape == (48,)
    assert wide["up_3.norm_s.param_free_norm.running_var"].shape == (6,)
    assert wide["up_3.norm_s.param_free_norm.running_var"][2:].tolist() == [1] * 4
    assert wide["up_3.norm_s.param_free_norm.running_mean"][2:].tolist() == [0] * 4
    found = spade.recognise(wide)
    assert found.spec == spec
    assert all(torch.equal(found.state[key], value) for key, value in state.items())


def test_what_is_no_spade():
    assert spade.recognise({"model.1.weight": torch.empty(8, 3, 7, 7)}) is None
    state = official(GENERATORS[0])
    for change in ({"fc.weight": torch.empty(17, 6, 3, 3)}, {"fc.weight": torch.empty(17)}):
        with pytest.raises(UNLIKE):
            spade.recognise({**state, **change})
    del state["up_3.conv_1.weight"]
    with pytest.raises(UNLIKE):
        spade.recognise(state)
    with pytest.raises(UNLIKE):
        spade.recognise({"discriminator_0.model0.0.weight": torch.empty(())})
