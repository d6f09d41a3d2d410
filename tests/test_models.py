import json
from pathlib import Path

import pytest
import torch

from pocketgan.errors import DataError, SpecError
from pocketgan.models import device_of, find_model, is_model, load_generator, load_model, save_model
from pocketgan.networks import PatchSpec, ResnetSpec

SPEC = ResnetSpec.uniform(2, blocks=1, separable=("residual",), norm="batch")
CARD = {"size": 24, "direction": "BtoA", "made_by": "train-0123456789ab"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = SPEC.build()
    network(torch.rand(2, 3, 24, 24))  # so that the statistics of the norms are not those of a new network
    save_model(tmp_path / "model", network, CARD)
    return tmp_path / "model"


def test_what_is_saved_comes_back(tmp_path: Path):
    network = SPEC.build()
    x = torch.rand(2, 3, 24, 24) * 2 - 1
    network.train()(x)
    save_model(tmp_path / "model", network, CARD)
    model = load_model(tmp_path / "model")
    assert model.spec == SPEC
    assert model.card == CARD
    assert not model.network.training
    assert network.training, "saving leaves the network as it is"
    assert torch.equal(model.network(x), network.eval()(x))


def test_a_discriminator_comes_back(tmp_path: Path):
    judge = PatchSpec(width=2, layers=2).build()
    save_model(tmp_path, judge, {})
    model = load_model(tmp_path)
    x = torch.rand(1, 6, 24, 24)
    assert model.spec == judge.spec
    assert torch.equal(model.network(x), judge.eval()(x))
    with pytest.raises(DataError, match="holds a discriminator; give the folder of a generator"):
        load_generator(tmp_path)


def test_the_size_of_a_model(folder: Path):
    """Cards written before sizes had two sides hold one."""
    for card, size in ((CARD, (24, 24)), ({"size": [24, 40]}, (24, 40)), ({}, (256, 256))):
        save_model(folder, SPEC.build(), card)
        assert load_model(folder).size == size


def test_the_files(folder: Path):
    assert {path.name for path in folder.iterdir()} == {"model.json", "weights.safetensors"}
    description = json.loads((folder / "model.json").read_text())
    assert description == {"format": 1, "spec": SPEC.model_dump(mode="json"), "card": CARD}


def test_a_model_without_card(folder: Path):
    (folder / "model.json").write_text(json.dumps({"spec": SPEC.model_dump(mode="json")}))
    assert load_model(folder).card == {}


def test_a_model_is_whole_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The description comes last: without it there is no model."""

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pocketgan.models.save", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(tmp_path, SPEC.build(), {})
    assert not is_model(tmp_path)


def test_the_way_to_a_model(folder: Path, tmp_path: Path):
    """A model folder stands for itself, a folder with `model/` in it for that."""
    direct, through_the_run = find_model(str(folder)), find_model(str(tmp_path))
    assert direct.spec == through_the_run.spec == SPEC
    for name, tensor in direct.network.state_dict().items():
        assert torch.equal(tensor, through_the_run.network.state_dict()[name])


def test_a_spec_string_gives_fresh_weights_that_are_always_the_same():
    first, second = find_model("mobile-resnet:2"), find_model("mobile-resnet:2")
    assert first.spec == ResnetSpec.uniform(2, separable=("residual",))
    assert first.card == {}
    assert not first.network.training
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name])


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nothing", DataError, r"nothing does not exist; give a model folder, a run folder or a spec like"),
        ("resnt:8", SpecError, r"unknown network 'resnt'; did you mean resnet"),
        ("resnet:", SpecError, r"widths '' cannot be read"),
        ("resnet:8_8", SpecError, r"8_8 has 2 widths; resnet networks take 8"),
    ],
)
def test_what_names_no_model(text: str, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        find_model(text)


def test_weights_of_another_network(folder: Path):
    other = SPEC.model_copy(update={"widths": (3, 2, 2, 2, 2, 2)})
    (folder / "model.json").write_text(json.dumps({"spec": other.model_dump(mode="json")}))
    with pytest.raises(
        DataError, match=r"weights\.safetensors is cut short or of another network; make or copy it"
    ):
        load_model(folder)


def test_the_device_of_a_network():
    assert device_of(SPEC.build()) == torch.device("cpu")
    with torch.device("meta"):
        assert device_of(SPEC.build()) == torch.device("meta")
