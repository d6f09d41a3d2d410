"""A trained supernet in an artifact: its network is a model like any other; beside its weights, where kernels are
elastic, lie the matrices that make smaller ones."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import DataError
from pocketgan.models import load_model
from pocketgan.networks import NetworkSpec

KERNELS = "kernels.safetensors"


def save_kernels(folder: Path, network: nn.Module) -> None:
    """Add the matrices of a supernet to the model folder of its network; of other networks there are none."""
    if isinstance(network, Supernet) and (matrices := network.kernels.state_dict()):
        state = {name: matrix.cpu().contiguous() for name, matrix in matrices.items()}
        (folder / KERNELS).write_bytes(save(state))


def load_kernels(folder: Path, network: nn.Module) -> None:
    """Give a supernet the matrices of a model folder; those of a network that was no supernet stay as they are."""
    if isinstance(network, Supernet) and (folder / KERNELS).is_file():
        try:
            network.kernels.load_state_dict(load_file(folder / KERNELS))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise DataError(
                f"the model in {folder} is damaged: {KERNELS} is cut short or of another network; "
                "make or copy it again"
            ) from error


def load_supernet(folder: Path, spec: NetworkSpec) -> Supernet:
    """The supernet of `spec` whose network and matrices are in a model folder, in evaluation mode."""
    supernet = Supernet(spec)
    if supernet.kernels.state_dict() and not (folder / KERNELS).is_file():
        raise DataError(f"the model in {folder} is damaged: {KERNELS} is missing; make or copy it again")
    supernet.network = load_model(folder).network
    load_kernels(folder, supernet)
    return supernet.eval()
