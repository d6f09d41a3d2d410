"""What is true of the spec of every network: of each form of each family, of others with unusual fields."""

import subprocess
import sys

import pytest
import torch
from pydantic import TypeAdapter

from pocketgan.errors import SpecError
from pocketgan.networks import AnySpec, DeepResnetSpec, MunitSpec, ResnetSpec, SpadeSpec, UnetSpec, parse_spec
from pocketgan.networks.presets import forms, specs

UNUSUAL = [
    ResnetSpec.of("8_7_6_5_4_3_2_1", blocks=6, norm="batch", padding="zero", clamp_input=True, in_channels=1),
    MunitSpec.of("10_9_8_7_6_5_4_3_2_1", style_channels=4, mlp_width=5, style_encoder=False),
    UnetSpec.of("5_4_3_2_1", levels=5, dropout=0.5, norm="instance"),
    SpadeSpec.uniform(2, upsampling="most", spectral=True),
    DeepResnetSpec.of("1_1_2_1_1_1_1_1", dropout=0.5, norm="batch"),
]
GENERATORS = [*(parse_spec(f"{form}:2") for form in forms()), *UNUSUAL]
OTHERS = [spec(width=2) for spec in specs().values() if "width" in spec.model_fields]
by_kind = {"ids": lambda spec: spec.kind}


@pytest.mark.parametrize("spec", [*GENERATORS, *OTHERS], **by_kind)
def test_json_there_and_back(spec):
    again = TypeAdapter(AnySpec).validate_json(spec.model_dump_json())
    assert (type(again), again, hash(again)) == (type(spec), spec, hash(spec))


@pytest.mark.parametrize("spec", GENERATORS, **by_kind)
def test_sides(spec):
    low, step = spec.smallest_side, spec.stride
    spec.check_size(low, low + step)
    for size, nearest in ((step // 2, low), (low - step, low), (low + step + 1, low + step)):
        with pytest.raises(SpecError) as error:
            spec.check_size(size)
        assert str(error.value) == (
            f"size {size} does not fit a {spec.kind} generator, which takes multiples of {step} from {low} on; "
            f"use {nearest} or {nearest + step}"
        )


@pytest.mark.parametrize("spec", GENERATORS, **by_kind)
def test_the_channels_at_its_taps(spec):
    x, seen = spec.example(1, (spec.smallest_side, spec.smallest_side), torch.Generator().manual_seed(0)), {}
    assert spec.build().eval()(x, lambda name, value: seen.setdefault(name, value)).shape[1] == spec.out_channels
    assert set(spec.taps) <= set(seen)
    assert all(value.shape[1] == spec.tap_channels(name) for name, value in seen.items())


COMPILING = """
import sys
import torch
from pydantic import TypeAdapter
from pocketgan.networks import AnySpec

for text in sys.argv[1:]:
    spec = TypeAdapter(AnySpec).validate_json(text)
    network = spec.build().eval()
    x = spec.example(1, (spec.smallest_side, spec.smallest_side), torch.Generator().manual_seed(0))
    more = network.draw(1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        compiled = torch.compile(network, backend="eager", fullgraph=True)(x, **more)
        print(spec.kind, torch.equal(compiled, network(x, **more)))
"""


def test_pytorch_compiles_them_as_one_graph():
    """In a process of its own: the types that tests check are not for its compiler."""
    words = [sys.executable, "-c", COMPILING, *(spec.model_dump_json() for spec in UNUSUAL)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"{spec.kind} True" for spec in UNUSUAL], done.stderr[-2000:]
