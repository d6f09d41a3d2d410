import pytest

from pocketgan.elastic.skeleton import skeleton
from pocketgan.interop.importing import recognise
from pocketgan.interop.official import from_official, to_official
from pocketgan.networks import MsImageSpec, MunitSpec

SPECS = {
    "dense": MunitSpec.uniform(3),
    "decomposed": MunitSpec.of((10, 9, 8, 7, 6, 5, 4, 3, 2, 1), separable=("residual", "up")),
    "half-decomposed": MunitSpec.uniform(2, separable=("up",), blocks=3),
    "other-sizes": MunitSpec.uniform(2, style_channels=4, mlp_width=6, in_channels=1, out_channels=2),
    "no-style-encoder": MunitSpec.uniform(5, style_encoder=False),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_generators_are_told_from_shapes(spec):
    state = skeleton(spec).state_dict()
    official = to_official(state, spec)
    assert len(official) == len(state)
    assert recognise(official).spec == spec
    assert list(from_official(official, spec)) == list(state)


@pytest.mark.parametrize("spec", [MsImageSpec(width=2), MsImageSpec(width=1, in_channels=6, layers=2, scales=1)])
def test_discriminators_are_told_from_shapes(spec):
    assert recognise(to_official(spec.build().state_dict(), spec)).spec == spec
