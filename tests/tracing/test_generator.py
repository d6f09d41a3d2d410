"""A generator that a user names: found, checked, and what is said of those that will not do."""

import json
import re

import pytest
import torch
from torch import nn

import pocketgan as pg
from pocketgan.elastic.cost import cost
from pocketgan.errors import PocketGANError, SpecError
from pocketgan.tracing.generator import arguments_of, check_generator, generator_named, named_paths, spec_of

SOURCE = '''
import torch
from torch import nn

NUMBER = 3

def small(width=8):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))

def needs(width):
    return small(width)

def nothing():
    return "no module"

class Like(nn.Module):
    """Runs `body` as its forward."""
    def __init__(self, body):
        super().__init__()
        self.layer, self.body = nn.Conv2d(3, 8, 3, padding=1), body
        self.out = nn.Conv2d(8, 3, 1)
    def forward(self, x):
        return eval(self.body)

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)
    def forward(self, x):
        if x.mean() > 0:
            x = x + 1
        return self.layer(x)

def dry():
    return nn.Upsample(scale_factor=1)
'''

#: the name, its arguments, what is said
WRONG = (
    ("small", {"depth": 3}, "cannot be made: .*unexpected keyword argument 'depth'; give its arguments with --set"),
    ("needs", {}, "cannot be made: .*missing 1 required positional argument: 'width'"),
    ("small", {"width": -1}, "cannot be made: .*negative"),
    ("smal", {}, "unknown name in .*'smal'; did you mean small"),
    ("NUMBER", {}, "is no class or function"),
    ("nothing", {}, "gives a str, not an nn.Module"),
    ("dry", {}, "has no parameters to train"),
    ("Like", {"body": "self.out(self.layer(x))[:, :, ::2, ::2]"}, r"gives shape \(2, 3, 8, 8\) for images"),
    ("Like", {"body": "(x, x)"}, "gives a tuple, not a tensor; return the image alone"),
    ("Like", {"body": "x.mean((2, 3))"}, r"gives shape \(2, 3\) for images"),
    ("Like", {"body": "self.out(self.layer(x)) / 0 * 0"}, "values that are not finite"),
    ("Like", {"body": "self.out(self.layer(x.add_(1)))"}, "changes its input in place"),
    ("Like", {"body": "self.out(x)"}, r"does not take images of shape \(2, 3, 16, 16\): .*channels"),
    ("Like", {"body": "self.missing(x)"}, "does not take images of shape .*no attribute 'missing'"),
    ("Like", {"body": "self.out(self.layer(x))[:1]"}, r"gives shape \(1, 3, 16, 16\)"),
    ("Like", {"body": "self.out(self.layer(x + torch.rand_like(x)))"}, "gives another image of the same input"),
    ("Like", {"body": "self.out(self.layer(x)) * x.new_ones(len(x), 1, 1, 1)"}, "fixes the number of images"),
    ("Branches", {}, "cannot be traced at .*own.py:30, `if x.mean.. > 0:`: its control flow .*; compute that with"),
)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(("name", "arguments", "said"), WRONG)
def test_wrong_generators_get_one_line(file, name, arguments, said, capsys):
    with pytest.raises(SpecError, match=said) as found:
        spec_of(generator_named(f"{file}:{name}", arguments), 3, (16, 16))
    assert "\n" not in str(found.value)
    assert capsys.readouterr() == ("", ""), "nor does the exporter print its own"


@pytest.mark.parametrize(("name", "arguments", "said"), [WRONG[i] for i in (0, 3, 7, 9, 10, 11, 17)])
def test_they_end_a_command_and_a_call_alike(file, pairs, tmp_path, cli, name, arguments, said):
    """One line, exit code 2, nothing written; from Python the same line as an error."""
    words = [w for key, value in arguments.items() for w in ("--set", f"generator.{key}={json.dumps(value)}")]
    out = tmp_path / "run"
    ended = cli(
        "compress", pairs, "--generator", f"{file}:{name}", *words, "--budget", "1G", "--size", 24, "--out", out
    )
    assert (ended.code, ended.out) == (2, "")
    said = said.replace("16, 16", "24, 24").replace("8, 8", "12, 12")
    assert re.search(said, " ".join(ended.err.split()))
    with pytest.raises(PocketGANError, match=said) as found:
        pg.compress(generator_named(f"{file}:{name}", arguments), pairs, budget="1G", size=24, out=out)
    assert "\n" not in str(found.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("small", "names no class; write package.module:Class or file.py:function"),
        ("nowhere.py:small", "there is no file nowhere.py"),
        ("no_such_package.module:Net", "no_such_package.module cannot be imported: No module named"),
        ("torch:nn", "is no class or function"),
    ],
)
def test_names_that_lead_nowhere(text, said):
    with pytest.raises(SpecError, match=said):
        generator_named(text, {})


def test_a_file_that_does_not_run(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(SpecError, match="cannot be imported: division by zero; mend it"):
        generator_named(f"{tmp_path / 'broken.py'}:small", {})


def test_the_same_name_gives_the_same_spec(file):
    """So that a run finds its stages again."""
    first, second = (spec_of(generator_named(f"{file}:small", {"width": 16}), 3, (16, 16)) for _ in range(2))
    assert first == second
    assert first.widths == (16,)
    check_generator(nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 8, 8))


def test_arguments_stand_among_the_changes():
    changes = ["seed=1", "generator.width=8", "generator.norm=batch", "generator.sizes=[1, 2]"]
    assert arguments_of(changes) == ({"width": 8, "norm": "batch", "sizes": [1, 2]}, ["seed=1"])


def test_transposed_and_normed_convolutions_become_separable_too():
    up = nn.ConvTranspose2d(8, 16, 3, stride=2, padding=1, output_padding=1)
    down = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3, stride=2, padding=1))
    module = nn.Sequential(down, nn.ReLU(), up, nn.ReLU(), nn.Conv2d(16, 3, 1))
    spec = spec_of(module, 3, (16, 16), separable=("all",))
    depthwise = (3 * 9 + 3) + (3 * 8 + 8) + (8 * 9 + 8) + (8 * 16 + 16)
    assert cost(spec, 16)["params"] == depthwise + 16 * 3 + 3
    assert spec.build()(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)
    assert nn.utils.parametrize.is_parametrized(down), "the module itself is left as it is"


def test_taps_and_separable_layers_by_name(file):
    small = generator_named(f"{file}:small", {"width": 16})
    usual, named = (spec_of(small, 3, (16, 16), taps) for taps in ((), ("1", "0", "0")))
    assert (named.taps, named.tap_channels("1")) == (("1", "0"), 16)
    apart = spec_of(small, 3, (16, 16), separable=("all",))
    assert apart == spec_of(small, 3, (16, 16), separable=("0", "2"))
    # depthwise, pointwise and their biases
    assert cost(apart, 16)["params"] == (3 * 9 + 3) + (3 * 16 + 16) + (16 * 9 + 16) + (16 * 3 + 3)
    assert cost(usual, 16)["params"] == 3 * 16 * 9 + 16 + 16 * 3 * 9 + 3
    with pytest.raises(SpecError, match="unknown 3x3 convolution '1'"):
        spec_of(small, 3, (16, 16), separable=("1",))
    with pytest.raises(SpecError, match="unknown module '7'"):
        spec_of(small, 3, (16, 16), taps=("7",))
    text = ["taps=up.0, up.1", 'separable=["middle"]', "seed=1"]
    assert named_paths(text) == ({"taps": ("up.0", "up.1"), "separable": ("middle",)}, ["seed=1"])
