"""Model folders: `model.json` (what the network is) and `weights.safetensors` (its tensors).

They load without any training code and hold no executable code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pocketgan.data.values import Values
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.files import replacing
from pocketgan.networks import AnySpec, Generator, NetworkSpec, init_normal, parse_spec
from pocketgan.networks.spectral import fold
from pocketgan.units import Size

_SPECS: TypeAdapter[Any] = TypeAdapter(AnySpec)


class Model(NamedTuple):
    """A network in evaluation mode, what it is, and what is known of it (`size`, `digest`, ...)."""

    network: Any
    spec: Any
    card: dict[str, Any]

    @property
    def size(self) -> Size:
        """Height and width of the images that it was made for; 256 where the card says nothing."""
        size = self.card.get("size", 256)  # cards of square images may hold a side alone
        height, width = (size, size) if isinstance(size, int) else size
        return height, width

    @property
    def source(self) -> Values:
        """What the images hold that it is given: as its card says, else 8 bits of its channels."""
        return self._values("input", self.spec.in_channels)

    @property
    def target(self) -> Values:
        """What the pictures hold that it makes."""
        return self._values("output", self.spec.out_channels)

    def domains(self, direction: str) -> tuple[Values, Values]:
        """What the images of A and of B hold; label maps are no images, and get the usual."""
        source = Values() if self.spec.kind == "spade" else self.source
        return (source, self.target) if direction == "AtoB" else (self.target, source)

    def _values(self, name: str, channels: int) -> Values:
        if name not in self.card:
            return Values(channels=channels)
        try:
            found = Values.model_validate(self.card[name])
        except (ValidationError, SpecError) as error:
            raise DataError(f"the card of this model does not say what its {name} images hold; mend it") from error
        if found.channels != channels:
            raise DataError(
                f"the card of this model speaks of {name} images of {found.channels} channels, and its network has "
                f"{channels}; mend it"
            )
        return found

    @property
    def sight(self) -> dict[str, Any]:
        """How it saw the images of its training, as arguments of `open_task`: nothing where as usual."""
        if "load_size" not in self.card:
            return {}
        load_size = self.card["load_size"]
        return {"crop": True} if load_size is None else {"load_size": tuple(load_size), "centre": True}


def save_model(folder: Path, network: Any, card: dict[str, Any]) -> None:
    """Write a model folder; the description last, so that a folder that has one is whole.

    Of a generator, the folded form is written (see `NetworkSpec.folded`).
    """
    if isinstance(network, Generator):
        network = fold(network)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    # not `save_file`, which hides a full disk behind an error of its own
    with replacing(folder / "weights.safetensors") as part:
        part.write_bytes(save(state))
    text = json.dumps({"format": 1, "spec": network.spec.model_dump(mode="json"), "card": card}, indent=1)
    with replacing(folder / "model.json") as part:
        part.write_text(text + "\n")


def save_new_model(folder: Path, network: Any, card: dict[str, Any]) -> None:
    """`save_model`, but into a folder that is new or empty. Raises `OutputError`."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder} is not empty; choose another --out")
        save_model(folder, network, card)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error


def is_model(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def load_model(folder: Path) -> Model:
    """The model of a folder. Raises `DataError` when it is none or is damaged."""
    if not is_model(folder):
        raise DataError(f"{folder} holds no model: there is no model.json in it; give a model or run folder")
    try:
        description = json.loads((folder / "model.json").read_text())
        spec = _SPECS.validate_python(description["spec"])
        card = dict(description.get("card", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"the model in {folder} is damaged: model.json describes no network; make or copy it again"
        ) from error
    try:
        network = spec.build()
        network.load_state_dict(load_file(folder / "weights.safetensors"))
    except FileNotFoundError as error:
        raise DataError(
            f"the model in {folder} is damaged: weights.safetensors is missing; make or copy it again"
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(
            f"the model in {folder} is damaged: weights.safetensors is cut short or of another network; "
            "make or copy it again"
        ) from error
    return Model(network.eval(), spec, card)


def load_generator(folder: Path) -> Model:
    """`load_model`, but a discriminator is refused."""
    model = load_model(folder)
    if not isinstance(model.spec, NetworkSpec):
        raise DataError(f"{folder} holds a discriminator; give the folder of a generator")
    return model


def find_model(text: str) -> Model:
    """The model that a user names: a model folder, a run folder, or a spec string (with fresh weights).

    Raises `DataError` or `SpecError` when the text names nothing.
    """
    folder = Path(text)
    if folder.is_dir():
        return load_generator(folder if is_model(folder) or not (folder / "model").is_dir() else folder / "model")
    if folder.exists():
        raise DataError(f"{text} is a file; give a model folder, a run folder or a spec like mobile-resnet:48")
    if ":" not in text or len(folder.parts) > 1:
        raise DataError(f"{text} does not exist; give a model folder, a run folder or a spec like mobile-resnet:48")
    spec = parse_spec(text)
    return Model(init_normal(spec.build(), torch.Generator().manual_seed(0)).eval(), spec, {})


Draw = Callable[[int, torch.Generator], dict[str, Tensor]]


def of_images(network: Callable[..., Tensor], draw: Draw | None = None) -> Callable[[Tensor], Tensor]:
    """A network as a function of images alone: whatever else it takes (a style) is drawn for each image from the
    image's own content, so that equal images get equal draws, in any batch and on any device.

    `draw`: the network's own, where `network` is no generator itself.
    """
    draw = draw or network.draw  # type: ignore[attr-defined]

    def translate(x: Tensor) -> Tensor:
        if not draw(0, torch.Generator()):
            return network(x)
        draws = [
            draw(1, torch.Generator().manual_seed(zlib.crc32(image.tobytes()))) for image in x.float().cpu().numpy()
        ]
        return network(x, **{name: torch.cat([each[name] for each in draws]).to(x) for name in draws[0]})

    return translate


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device
