"""ResNets that the official code could not load."""

import pytest

from pocketgan.errors import SpecError
from pocketgan.interop.layouts import resnet
from pocketgan.networks import ResnetSpec


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"input_skip": True}, "a skip from the input to the output"),
        ({"ends": 3}, "a stem and a head with kernels of 3"),
        ({"up": "shuffle"}, "upsampling by shuffle"),
        ({"separable": ("residual",), "separable_norm": "batch"}, "batch norm inside decomposed convolutions"),
    ],
)
def test_forms_of_ours_alone(form, told):
    with pytest.raises(SpecError, match=f"^no official code has {told}; export another format$"):
        resnet.names(ResnetSpec.uniform(1, **form))
