"""Subnets with fewer blocks and smaller kernels: the same weights, and matrices between kernel sizes."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from pocketgan.elastic.kernels import KernelMatrices, elastic_kernels
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import MunitSpec, ResnetSpec, UnetSpec
from pocketgan.networks.expansion import ExpansionBlock
from tests.elastic.toys import filled, image, supernet_of

KINDS = {"dense": (), "mobile": ("residual",)}
each_kind = pytest.mark.parametrize("separable", KINDS.values(), ids=KINDS.keys())


def supernet(kernel: int = 7, blocks: int = 2, width: int = 2, **fields) -> Supernet:
    """Random weights, matrices that are identities, float64."""
    made = Supernet(ResnetSpec.uniform(width, blocks=blocks, kernel=kernel, **fields))
    filled(made.network)
    return made.double().eval()


def with_random_matrices(made: Supernet) -> Supernet:
    filled(made.kernels, seed=7)
    return made


def crop(weight: np.ndarray, side: int) -> np.ndarray:
    edge = (weight.shape[-1] - side) // 2
    return weight[..., edge : edge + side, edge : edge + side]


def by_hand(made: Supernet, spec: ResnetSpec, matrices: dict[int, np.ndarray]) -> dict[str, torch.Tensor]:
    """The state of a subnet of full width: `matrices` by the size that they lead to, one for each layer."""
    state = {}
    names = [name for name in made.network.state_dict() if name.startswith("blocks.") and name.endswith("weight")]
    layers = [name for name in names if "pointwise" not in name and "norm" not in name]
    for name in spec.build().state_dict():
        weight = made.network.state_dict()[name].numpy()
        if name in layers:
            for side in range(weight.shape[-1] - 2, spec.kernel - 1, -2):
                core = crop(weight, side)
                matrix = matrices[side][layers.index(name)]
                flat = core.reshape(*core.shape[:2], side * side)
                weight = np.einsum("ab,oib->oia", matrix, flat).reshape(core.shape)
        state[name] = torch.from_numpy(weight)
    return state


# -- depth -------------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("norm", ["instance", "batch"])
@torch.no_grad()
def test_the_first_blocks_are_kept(separable, norm):
    deep, x = supernet(3, blocks=4, separable=separable, norm=norm), image()
    for blocks in range(5):
        spec = ResnetSpec.uniform(2, blocks=blocks, separable=separable, norm=norm)
        y = x
        network = deep.network
        for layer in (network.stem, *network.down, *network.blocks[:blocks], *network.up, network.head):
            y = layer(y)
        assert torch.equal(deep(x, spec), y)
        assert torch.equal(deep.extract(spec)(x), y)


def test_blocks_that_do_not_run_learn_nothing():
    deep = supernet(3, blocks=3)
    deep(image(), ResnetSpec.uniform(2, blocks=1)).mean().backward()
    learning = {
        name.split(".")[1] for name, p in deep.network.blocks.named_parameters("blocks") if p.grad is not None
    }
    assert learning == {"0"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            ResnetSpec.uniform(2, blocks=3),
            "a subnet has blocks.2.first.conv.weight and the supernet has not; "
            "only widths, depth and kernels can be smaller",
        ),
        (
            ResnetSpec.uniform(2, blocks=2, kernel=5),
            "a subnet wants kernels of side 5 where the supernet has 3; enlarge those",
        ),
        (
            MunitSpec.uniform(1),
            "a subnet has style_encoder.layers.0.conv.weight and the supernet has not; "
            "only widths, depth and kernels can be smaller",
        ),
    ],
)
def test_more_than_the_supernet_has(spec, message):
    made = supernet(3)
    for use in (lambda: made(image(), spec), lambda: made.extract(spec)):
        with pytest.raises(SpecError) as error:
            use()
        assert str(error.value) == message


# -- kernels -----------------------------------------------------------------------------------------------------


def test_only_elastic_kernels_have_matrices():
    plain = Supernet(ResnetSpec.uniform(2, blocks=1))
    assert plain.state_dict().keys() == {f"network.{name}" for name in plain.network.state_dict()}
    shapes = {
        name: tuple(p.shape) for name, p in KernelMatrices(ResnetSpec.uniform(1, kernel=5)).named_parameters()
    }
    assert shapes == {"to3": (18, 9, 9)}
    shapes = {
        name: tuple(p.shape) for name, p in KernelMatrices(ResnetSpec.uniform(1, kernel=7)).named_parameters()
    }
    assert shapes == {"to5": (18, 25, 25), "to3": (18, 9, 9)}
    assert not dict(KernelMatrices(MunitSpec.uniform(1)).named_parameters())


def test_elastic_layers_are_derived():
    dense = ResnetSpec.uniform(1, blocks=1, kernel=5)
    assert elastic_kernels(dense) == ("blocks.0.first.conv.weight", "blocks.0.second.conv.weight")
    mobile = ResnetSpec.uniform(1, blocks=1, kernel=5, separable=("down", "residual"))
    assert elastic_kernels(mobile) == tuple(
        f"blocks.0.{part}.conv.depthwise.weight" for part in ("first", "second")
    )
    assert elastic_kernels(ResnetSpec.uniform(1)) == ()


@each_kind
@pytest.mark.parametrize(("large", "small"), [(7, 5), (7, 3), (5, 3)])
@torch.no_grad()
def test_at_first_a_smaller_kernel_is_the_centre(separable, large, small):
    made, x = supernet(large, separable=separable), image()
    spec = made.spec.model_copy(update={"kernel": small})
    identities = {side: np.stack([np.eye(side**2)] * 4) for side in (5, 3)}
    network = spec.build().double().eval()
    network.load_state_dict(by_hand(made, spec, identities))
    cropped = network.blocks[0].first.conv
    full = made.network.blocks[0].first.conv
    name = "depthwise.weight" if separable else "weight"
    assert np.array_equal(cropped.get_parameter(name), crop(full.get_parameter(name).numpy(), small))
    assert torch.equal(made(x, spec), network(x))
    assert not torch.allclose(made(x, spec), made(x))


@each_kind
@pytest.mark.parametrize(("large", "small"), [(7, 5), (7, 3), (5, 3)])
@torch.no_grad()
def test_each_step_goes_through_its_matrix(separable, large, small):
    """From 7 to 3: the centre of 7 through the first matrix, the centre of that through the second."""
    made, x = with_random_matrices(supernet(large, separable=separable)), image()
    spec = made.spec.model_copy(update={"kernel": small})
    matrices = {int(name.removeprefix("to")): p.numpy() for name, p in made.kernels.named_parameters()}
    network = spec.build().double().eval()
    network.load_state_dict(by_hand(made, spec, matrices))
    torch.testing.assert_close(made(x, spec), network(x), rtol=1e-10, atol=1e-10)
    made.kernels.to3.zero_()
    assert torch.allclose(made(x, spec), network(x)) == (small == 5)


@torch.no_grad()
def test_the_largest_kernel_uses_no_matrix():
    made, x = supernet(7), image()
    wanted = made(x, (1,) * 7), made(x)
    with_random_matrices(made)
    assert torch.equal(made(x, (1,) * 7), wanted[0])
    assert torch.equal(made(x), wanted[1])


@each_kind
def test_gradients_reach_weights_and_matrices(separable):
    """By the chain rule: the gradient of the small kernel, taken from the extracted subnet, led back by hand."""
    made, x = with_random_matrices(supernet(5, blocks=2, separable=separable)), image()
    spec = ResnetSpec.uniform(2, blocks=1, kernel=3, separable=separable)
    subnet = made.extract(spec)
    for output in (made(x, spec), subnet(x)):
        (output * torch.linspace(-1, 1, output.numel(), dtype=x.dtype).view_as(output)).sum().backward()
    for i, name in enumerate(elastic_kernels(made.spec)[:2]):
        grad = subnet.get_parameter(name).grad.flatten(2)
        weight, matrix = made.network.get_parameter(name), made.kernels.to3.detach()[i]
        core = weight.detach()[:, :, 1:-1, 1:-1].flatten(2)
        torch.testing.assert_close(made.kernels.to3.grad[i], torch.einsum("oia,oib->ab", grad, core))
        led_back = torch.einsum("oia,ab->oib", grad, matrix).view(*weight.shape[:2], 3, 3)
        torch.testing.assert_close(weight.grad, torch.nn.functional.pad(led_back, (1, 1, 1, 1)))
    assert made.kernels.to3.grad[:2].abs().sum() > 0
    assert not made.kernels.to3.grad[2:].any(), "the second block does not run"


def test_a_step_that_is_not_taken_learns_nothing():
    made = supernet(7)
    made(image(), made.spec.model_copy(update={"kernel": 5})).mean().backward()
    assert made.kernels.to5.grad.any()
    assert made.kernels.to3.grad is None


# -- the spec ----------------------------------------------------------------------------------------------------


def test_kernel_of_the_residual_blocks():
    network = ResnetSpec.uniform(2, blocks=1, kernel=7, separable=("residual",)).build()
    assert network.blocks[0].first.conv.depthwise.kernel_size == (7, 7)
    assert network.down[0].conv.kernel_size == (3, 3)
    assert network(torch.zeros(1, 3, 16, 20)).shape == (1, 3, 16, 20)


def test_specs_from_before_kernels_were_a_choice():
    spec = ResnetSpec.uniform(2, separable=("residual",))
    fields = spec.model_dump(mode="json")
    assert fields.pop("kernel") == 3
    assert ResnetSpec.model_validate(fields) == spec
    with pytest.raises(ValidationError):
        ResnetSpec.uniform(2, kernel=4)


# -- genomes of spaces -------------------------------------------------------------------------------------------


@torch.no_grad()
def test_blocks_of_a_unet_are_the_first_of_each_level():
    """A residual block whose last convolution is zero adds nothing, since an instance norm makes zero of zero."""
    space = space_named("2_1,depth=2_1_0", UnetSpec.uniform(1, levels=5, norm="instance"))
    made, x = supernet_of(space), image(32)
    for depth in (2, 1, 0):
        for module in made.network.modules():
            if isinstance(module, nn.Sequential):
                for block in (one for one in module[depth:] if isinstance(one, ExpansionBlock)):
                    block.layers[-1].conv.weight.zero_()
                    block.layers[-1].conv.bias.zero_()
        spec = space.subspec((*(2,) * 5, depth))
        assert torch.equal(made(x, spec), made.extract(spec)(x))
        torch.testing.assert_close(made(x, spec), made(x))
