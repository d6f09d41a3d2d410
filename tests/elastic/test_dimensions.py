"""Width groups are derived."""

from pocketgan.elastic.dimensions import dimensions
from pocketgan.networks import ResnetSpec


def test_groups_of_a_small_resnet():
    """Written out by hand."""
    dims = dimensions(ResnetSpec.uniform(3, blocks=1, separable=("residual",)))
    groups = {name: tuple(d.group for d in own) for name, own in dims.items()}
    stem, down, stream, inner, up, last = range(6)
    assert groups["stem.conv.weight"] == (stem, None, None, None)
    assert groups["down.0.conv.weight"] == (down, stem, None, None)
    assert groups["down.1.conv.weight"] == (stream, down, None, None)
    assert groups["blocks.0.first.conv.depthwise.weight"] == (stream, None, None, None)
    assert groups["blocks.0.first.conv.pointwise.weight"] == (inner, stream, None, None)
    assert groups["blocks.0.second.conv.depthwise.bias"] == (inner,)
    assert groups["blocks.0.second.conv.pointwise.weight"] == (stream, inner, None, None)
    assert groups["up.0.conv.weight"] == (stream, up, None, None)
    assert groups["up.1.conv.weight"] == (up, last, None, None)
    assert groups["head.conv.weight"] == (None, last, None, None)
    assert groups["head.conv.bias"] == (None,)
