"""A module as a supernet of its own: every width at once."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from pocketgan.elastic.cost import cost
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import Widths, write_numbers
from pocketgan.networks.program import Program, at
from pocketgan.networks.traced import TracedSpec
from pocketgan.tracing.generator import check_precision
from pocketgan.tracing.graph import free_name
from pocketgan.tracing.trace import Result, trace
from pocketgan.units import both_sides

#: how far the user's own forward may be from the traced one: they are the same operations
SAME = 1e-5


class Elastic(nn.Module):
    """Any module, at any widths of its channels.

    Attributes:
        spec: the module as a spec, at its widest.
        space: the widths that there are to choose from, a choice for each width group.
        fixed: the modules whose outputs stay as they are, by path, and why.
        largest, smallest: the widths of the whole module and of the smallest subnet.

        >>> import torch, pocketgan as pg
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 3, 3))
        >>> supernet = pg.elastic(module, torch.rand(1, 3, 32, 32))
        >>> supernet.smallest, supernet.fixed
        ((4,), {'2': 'it makes the image'})
        >>> x = torch.rand(2, 3, 48, 64)
        >>> small = supernet.extract((8,))
        >>> small[0].weight.shape, torch.equal(small(x), supernet(x, at=(8,)))
        (torch.Size([8, 3, 3, 3]), True)
    """

    def __init__(self, traced: Result, example: Tensor) -> None:
        super().__init__()
        self.spec: TracedSpec = traced.spec
        self.space: SearchSpace = space_named("quarter", traced.spec)
        self.fixed = traced.fixed
        self.supernet = Supernet(traced.spec)
        self.supernet.network.load_state_dict(traced.state)
        # no part of this module: it only says what the user's class is
        self._example, self._module = [example[:1].detach().cpu()], [traced.module]

    @property
    def largest(self) -> Widths:
        return self.space.widths(self.space.largest)

    @property
    def smallest(self) -> Widths:
        return self.space.widths(self.space.smallest)

    @property
    def groups(self) -> dict[str, int]:
        """The widest width of each group, by the path of the module that it is named after."""
        return dict(zip(self.spec.groups, self.spec.widths, strict=True))

    def sample(self, seed: int) -> Widths:
        """The widths of a random subnet: each group drawn by itself."""
        if not isinstance(seed, Integral):
            raise SpecError(f"a seed is a whole number, not {seed!r}; give one, as sample(0)")
        return self.space.widths(self.space.sample(random.Random(int(seed))))

    def forward(
        self, x: Float[Tensor, "batch in height width"], at: Widths | None = None
    ) -> Float[Tensor, "batch out rows columns"]:
        """The output of the subnet of these widths (default: the whole module); gradients land in the supernet.

        Raises `SpecError` for widths that it has not, and for what are no such images.
        """
        self._check_images(x)
        return self.supernet(x, self._checked(at))

    def extract(self, at: Widths) -> nn.Module:
        """The subnet as a module that owns its weights.

        It is of the user's class where that class runs with smaller tensors, else the traced graph of operations.
        """
        network = self.supernet.extract(self._checked(at))
        own = resized_like(self._module[0], network)
        if own is not None and _same(own, network, self._example[0]):
            return own.train(self.training)
        return network

    def cost(self, at: Widths, height: int, width: int | None = None) -> dict[str, int]:
        """Parameters, and MACs by both conventions (`macs`, `true_macs`), of a subnet for one image in pixels."""
        sides = both_sides(height if width is None else (height, width))
        return cost(self.spec.resized(self._checked(at)), *sides)

    def _check_images(self, x: Any) -> None:
        channels, dtype = self.spec.in_channels, next(self.parameters()).dtype
        fits = isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] == channels
        # autocast takes floats of any type
        cast = fits and x.is_floating_point() and torch.is_autocast_enabled(x.device.type)
        if not fits or not (cast or x.dtype == dtype):
            raise SpecError(
                f"images are a tensor (batch, {channels}, height, width) of {dtype}, not {_words(x)}; give such"
            )

    def _checked(self, at: Widths | None) -> Widths:
        widest = self.spec.widths
        given: Any = widest if at is None else at
        widths = tuple(given) if isinstance(given, Iterable) else (given,)
        if len(widths) != len(widest) or not all(
            isinstance(own, Integral) and 1 <= int(own) <= most for own, most in zip(widths, widest, strict=True)
        ):
            raise SpecError(
                f"widths are {len(widest)} whole numbers from 1 to {write_numbers(widest)}, not "
                f"{'_'.join(map(str, widths))}; take them from sample, smallest or largest"
            )
        return tuple(map(int, widths))


def elastic(module: nn.Module, example_input: Float[Tensor, "batch in height width"]) -> Elastic:
    """Any module as a supernet, trained or not; the module itself is left as it is.

    Args:
        module: takes images and gives images, of any sides.
        example_input: images (batch, channels, height, width) as it takes them.

    Raises `SpecError` for a module that cannot be traced, in a line that says where, and for one whose parameters
    are not of torch.float32.
    """
    check_example(module, example_input)
    return Elastic(trace(module, example_input), example_input)


def check_example(module: Any, example: Any) -> None:
    """Raise `SpecError` unless these are a module and a batch of images."""
    if not isinstance(module, nn.Module):
        raise SpecError(f"{module!r} is no nn.Module; give the module itself, made")
    if not isinstance(example, Tensor) or example.ndim != 4 or not example.numel():
        raise SpecError(
            f"example_input is a tensor of images (batch, channels, height, width), not {_words(example)}; give "
            "one or more"
        )
    check_precision(module)


def _words(images: Any) -> str:
    """What was given for images."""
    if not isinstance(images, Tensor):
        return f"a {type(images).__name__}"
    return f"of shape {tuple(images.shape)} and {images.dtype}"


def resized_like(module: nn.Module, network: nn.Module) -> nn.Module | None:
    """A copy of the user's module with the tensors of a subnet, and with the numbers of PyTorch's own layers."""
    own = copy.deepcopy(module)
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    first: dict[int, str] = {}
    for path, part in own.named_modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is None:
                    continue
                place = first.setdefault(id(tensor), free_name(f"{path}.{name}" if path else name))
                if place in tensors:
                    held[name] = tensors[place]  # type: ignore[assignment]
    spec = network.spec
    assert isinstance(spec, TracedSpec)
    for path, groups in _groups(spec._program, spec.widths).items():
        layer: Any = dict(own.named_modules()).get(path)
        if isinstance(layer, nn.GroupNorm):
            layer.num_groups = groups
        elif hasattr(layer, "groups"):
            layer.groups = groups
    for part in own.modules():
        _renumber(part)
    return own


def _groups(program: Program, widths: Widths) -> dict[str, int]:
    """The groups of convolutions and group norms that follow the widths, by the paths of their modules."""
    found = {}
    for node in program.nodes:
        place = 1 if node.op.startswith("aten.group_norm") else 6 if node.op.startswith("aten.conv") else None
        if place is None or len(node.args) <= place or not isinstance(node.args[place], dict):
            continue
        weights = [arg["tensor"] for arg in node.args if isinstance(arg, dict) and "tensor" in arg]
        if weights and "size" in node.args[place]:
            found[weights[0].rpartition(".")[0]] = at(node.args[place]["size"], widths)
    return found


def _renumber(part: Any) -> None:
    """The numbers that a layer of PyTorch keeps of its tensors."""
    weight = getattr(part, "weight", None)
    if not isinstance(weight, Tensor):
        return
    shape = tuple(weight.shape)
    if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        part.out_channels, part.in_channels = shape[0], shape[1] * part.groups
    elif isinstance(part, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        part.in_channels, part.out_channels = shape[0], shape[1] * part.groups
    elif isinstance(part, nn.Linear):
        part.out_features, part.in_features = shape
    elif isinstance(part, nn.LayerNorm):
        part.normalized_shape = shape
    elif isinstance(part, nn.GroupNorm):
        part.num_channels = shape[0]
    elif hasattr(part, "num_features"):
        part.num_features = shape[0]


@torch.no_grad()
def _same(own: nn.Module, network: nn.Module, example: Tensor) -> bool:
    """Whether the user's forward with these tensors does what the traced one does."""
    device = next(network.parameters()).device
    training = network.training
    # an instance norm without weights has nothing else to tell its number by
    norms = [part for part in own.modules() if isinstance(part, _InstanceNorm)]
    hooks = [norm.register_forward_pre_hook(_count) for norm in norms]
    try:
        own.eval(), network.eval()
        x = example.to(device)
        return bool(torch.allclose(own(x), network(x), rtol=SAME, atol=SAME))
    except Exception:  # a forward that knows its widths may fail in any way
        return False
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()


def _count(norm: _InstanceNorm, inputs: tuple[Tensor, ...]) -> None:
    norm.num_features = inputs[0].shape[1]
