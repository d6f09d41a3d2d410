"""A family is one file: one that PocketGAN does not have goes everywhere as soon as its file is in the folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from pocketgan import networks
from pocketgan.deploy import export_verified
from pocketgan.elastic.cost import cost
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.interop import layouts
from pocketgan.interop.importing import import_checkpoint
from pocketgan.interop.official import save_official
from pocketgan.models import load_model, save_model
from pocketgan.networks import GeneratorSpec, NetworkSpec, ResnetSpec, initialise, parse_spec
from pocketgan.networks.init import init_kaiming
from pocketgan.networks.presets import specs

HERE = Path(__file__).parent / "new_family"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the files of the new family beside the others."""
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(HERE / "networks")])
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(HERE / "layouts")])
    specs.cache_clear()
    layouts.layouts.cache_clear()
    yield
    for package in (networks, layouts):
        sys.modules.pop(f"{package.__name__}.plain", None)
        vars(package).pop("plain", None)
    specs.cache_clear()
    layouts.layouts.cache_clear()


def mobile() -> NetworkSpec:
    return parse_spec("mobile-plain:8_4")


def test_its_spec():
    spec = mobile()
    assert (spec.kind, spec.widths, spec.genome) == ("plain", (8, 4), (8, 4))
    assert spec == parse_spec("plain:8_4").mobile
    fields = TypeAdapter(GeneratorSpec)
    assert fields.validate_json(fields.dump_json(spec)) == spec
    with pytest.raises(SpecError, match="did you mean plain"):
        parse_spec("plane:8")
    with pytest.raises(ValidationError, match="this plain has 2 positive widths, not 3"):
        fields.validate_python({"kind": "plain", "widths": (1, 2, 3)})


def test_its_first_weights():
    spec, states = mobile(), []
    for law in (initialise, init_kaiming):
        states.append(law(spec.build(), torch.Generator().manual_seed(0)).state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_its_model_folder(tmp_path: Path):
    network = mobile().build()
    save_model(tmp_path, network, {})
    model = load_model(tmp_path)
    assert model.spec == network.spec
    assert all(
        torch.equal(tensor, network.state_dict()[name]) for name, tensor in model.network.state_dict().items()
    )


def test_its_search():
    space = space_named("plain-8", mobile())
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space
    assert (space.size, space.spec.widths) == (6, (8, 8))
    supernet, x = Supernet(space.spec), space.spec.example(2, (8, 12), torch.Generator().manual_seed(0))
    small = supernet.extract((4, 2))
    assert small.spec == space.subspec((4, 2))
    assert torch.equal(supernet(x, (4, 2)), small(x))


def test_its_cost():
    found = cost(parse_spec("plain:8_4"), 10)
    assert found["params"] == (27 + 1) * 8 + (9 * 8 + 1) * 8 + (8 + 1) * 3
    assert found["true_macs"] == 100 * (27 * 8 + 9 * 8 * 8 + 8 * 3)


def test_its_onnx_file(tmp_path: Path):
    assert export_verified(mobile().build(), (8, 12), tmp_path / "plain.onnx").largest < 1e-4


def test_its_checkpoints(tmp_path: Path):
    network = parse_spec("plain:8_4").build().eval()
    save_official(network, tmp_path / "net.pth")
    found = import_checkpoint(tmp_path / "net.pth")
    assert (found.spec, found.what) == (network.spec, "plain network 8_4")
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(found.network(x), network(x))


def test_without_a_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layouts, "__path__", layouts.__path__[:1])
    layouts.layouts.cache_clear()
    with pytest.raises(SpecError, match="no official code has a plain; export it in another format"):
        save_official(mobile().build(), tmp_path / "net.pth")


def test_no_such_kind():
    with pytest.raises(ValidationError, match="there is no network of kind 'plan', only of resnet, "):
        TypeAdapter(GeneratorSpec).validate_python({"kind": "plan"})
    with pytest.raises(ValidationError, match="instance of NetworkSpec"):
        TypeAdapter(GeneratorSpec).validate_python({"kind": "patch"})
    assert TypeAdapter(GeneratorSpec).validate_python(ResnetSpec.uniform(1)) == ResnetSpec.uniform(1)
