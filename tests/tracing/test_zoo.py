"""One conformance suite over the layouts of `zoo.py`, as tests/elastic has one over the families."""

from functools import lru_cache

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.deploy.ship import export_verified
from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.order import gather
from pocketgan.tracing.elastic import Elastic
from pocketgan.tracing.trace import trace
from tests.tracing.oracle import masked
from tests.tracing.zoo import ZOO, AdaLin, ChannelNorm, Drit, NafNet, UGatIt

SIDE = 16
#: statistics over channels that are written out in forward: the tensor that has these channels
WRITTEN_OUT = {AdaLin: "rho", ChannelNorm: "weight", Drit: "up.0.bias"}
#: a second oracle of what has them: the constructor at half the width
HALF = {"U-GAT-IT": lambda: UGatIt(4), "NAFNet": lambda: NafNet(4), "DRIT": lambda: Drit(8, 4)}
GROUPS = {
    "pix2pixHD global": 7, "pix2pixHD local": 8, "CUT": 5, "U-GAT-IT": 6, "AnimeGANv2": 10, "StyleGAN2 decoder": 6,
    "SRGAN/EDSR": 4, "RRDB (ESRGAN)": 7, "NAFNet": 8, "attention U-Net": 14, "DRIT": 17, "StarGAN": 4, "LaMa": 6,
    "SegFormer": 11, "MobileNetV2 U-Net": 6, "UNet2D (diffusers)": 13,
}  # fmt: skip
#: what PyTorch's older exporter cannot write; `benchmarks/generators.py` verifies all with the product's exporter
NOT_QUICK = ("LaMa",)
each = pytest.mark.parametrize("name", ZOO)


@lru_cache(maxsize=1)
def sample(name):
    """The module, traced, with weights of about one size, and images."""
    torch.manual_seed(0)
    module, x = ZOO[name]().eval(), torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.rand_like(parameter) * 0.2)
    traced = trace(module, x, open_sides=False)
    return traced, Elastic(traced, x).eval(), x


@each
def test_a_module(name, tmp_path):
    traced, supernet, x = sample(name)
    spec, state = traced.spec, traced.state
    assert len(spec.groups) == GROUPS[name]
    assert "it makes the image" in traced.fixed.values() or "fixed number" in str(traced.fixed)
    learnt = dict(traced.module.named_parameters())
    assert sum(t.numel() for t in supernet.parameters()) == sum(t.numel() for t in learnt.values())
    with torch.no_grad():
        assert torch.equal(supernet(x), traced.module(x))

    model = CostModel(spec, SIDE)
    for seed in range(2):
        widths = supernet.smallest if seed == 0 else supernet.sample(seed)
        small = supernet.extract(widths)
        supernet.zero_grad()
        output = supernet(x, at=widths)
        assert output.std() > 1e-4
        torch.testing.assert_close(small(x), output, rtol=1e-5, atol=1e-5)
        assert cost(spec.resized(widths), SIDE) == model.one(widths)
        assert model.one(widths)["true_macs"] == counted(small)
        assert model.one(widths)["params"] == sum(p.numel() for p in small.parameters())
        full = {n: t.clone().requires_grad_(n in learnt) for n, t in state.items()}
        wanted = masked(traced.module, spec, widths, full, x, WRITTEN_OUT)
        torch.testing.assert_close(output, wanted, rtol=1e-5, atol=1e-5)
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed))
        (output * weights).sum().backward()
        (wanted * weights).sum().backward()
        for n, parameter in supernet.supernet.network.named_parameters():
            found, due = (torch.zeros_like(t) if t.grad is None else t.grad for t in (parameter, full[n]))
            torch.testing.assert_close(found, due, rtol=1e-4, atol=1e-4 * (1 + float(due.abs().max())), msg=n)

    if name in HALF:
        half = tuple(width // 2 for width in spec.widths)
        small = HALF[name]().eval()
        small.load_state_dict(supernet.supernet.extract(half).state_dict())
        with torch.no_grad():
            torch.testing.assert_close(small(x), supernet(x, at=half), rtol=1e-5, atol=1e-5)

    with torch.no_grad():
        for seed in range(1, 20):
            widths = supernet.sample(seed)
            network = supernet.supernet.extract(widths)
            torch.testing.assert_close(network(x), supernet(x, at=widths), rtol=1e-5, atol=1e-5)
    if name not in NOT_QUICK:
        export_verified(network, SIDE, tmp_path / "small.onnx", x)

    # channels of a group are interchangeable: in another order the module computes the same
    generator = torch.Generator().manual_seed(1)
    orders = {g: torch.randperm(n, generator=generator) for g, n in enumerate(spec.widths)}
    network = traced.generator()
    network.load_state_dict(gather(state, spec, orders))
    with torch.no_grad():
        torch.testing.assert_close(network(x), traced.module(x), rtol=1e-4, atol=1e-4)


def counted(module):
    """True MACs by PyTorch's own counter."""
    with FlopCounterMode(display=False) as flops:
        module.to("meta")(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    return flops.get_total_flops() // 2
