"""Any module as a supernet: the sixteen layouts of `tests/tracing/zoo.py`, traced, sliced, exported.

Side by side on the same modules Torch-Pruning's dependency graph, where that is installed: it is told which layers
make the image, and is to prune half the channels of all others. It handles a module if the forward then still runs.
"""

import copy
import importlib.metadata
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import measure
import torch
from torch import Tensor, nn

from pocketgan.deploy.ship import export_verified
from pocketgan.errors import PocketGANError
from pocketgan.tracing.elastic import Elastic, elastic
from pocketgan.tracing.flow import IMAGE

sys.path.insert(0, str(measure.ROOT))
from tests.tracing.zoo import ZOO

SIDE = 32
#: the quickest to trace
QUICK = ("SRGAN/EDSR", "CUT")
PEER = "torch_pruning"
#: processor seconds after which it is stopped
LIMIT = 20


def half_pruned(module: nn.Module, x: Tensor, kept: list[str]) -> nn.Module:
    """A copy with half the channels, by Torch-Pruning; the layers at the paths `kept` keep their outputs."""
    import torch_pruning

    own = copy.deepcopy(module)
    torch_pruning.pruner.BasePruner(
        own,
        x,
        torch_pruning.importance.MagnitudeImportance(),
        pruning_ratio=0.5,
        ignored_layers=[own.get_submodule(path) for path in kept if path in dict(own.named_modules())],
    ).step()
    return own


def by_peer(module: nn.Module, x: Tensor, kept: list[str]) -> tuple[str, float | None]:
    """Whether it handles the module, or what it says; and the share of parameters that is left."""
    signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        pruned = half_pruned(module, x, kept)
        with torch.no_grad():
            made = pruned(x)
    except Exception as error:  # whatever may go wrong in another package, or in the forward after it
        return f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0][:100]}", None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    assert made.shape == module(x).shape
    return "yes", _parameters(pruned) / _parameters(module)


def _late(*_: object) -> None:
    raise TimeoutError(f"not done in {LIMIT} processor seconds")


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def difference(supernet: Elastic, x: Tensor, genomes: int) -> float:
    """The largest one between supernet and extracted subnet; their costs must be PyTorch's count."""
    largest = 0.0
    for seed in range(genomes):
        widths = supernet.sample(seed)
        small = supernet.extract(widths)
        largest = max(largest, float((small(x) - supernet(x, at=widths)).abs().max()))
        # without entries: what a processor does at once, as an attention, that counter does not see
        image = torch.empty(1, *x.shape[1:], device="meta")
        counted = measure.macs(lambda small=small, image=image: small.to("meta")(image))
        assert counted == supernet.cost(widths, SIDE)["true_macs"], (counted, widths)
    return largest


def exported(supernet: Elastic, x: Tensor) -> str | float:
    """The largest difference between PyTorch and ONNX Runtime, of the smallest subnet, with open sides."""
    network = supernet.supernet.extract(supernet.smallest)
    with tempfile.TemporaryDirectory() as place:
        try:
            return measure.figure(export_verified(network, SIDE, Path(place) / "small.onnx", x).largest)
        except PocketGANError as error:
            return str(error)


def row(name: str, turns: int, genomes: int, peer: bool) -> dict[str, object]:
    torch.manual_seed(0)
    module, x = ZOO[name]().eval(), torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    supernet = elastic(module, x).eval()
    kept = [path for path, why in supernet.fixed.items() if why == IMAGE]
    calls: dict[str, Callable[[], object]] = {"ours": lambda: elastic(module, x)}
    handled, share = by_peer(module, x, kept) if peer else ("not installed", None)
    if share is not None:
        calls["peer"] = lambda: half_pruned(module, x, kept)
    times = measure.in_turns(calls, turns, warm_up=0)
    largest, smallest = (supernet.cost(at, SIDE) for at in (supernet.largest, supernet.smallest))
    half = tuple(max(1, width // 2) for width in supernet.largest)
    return {
        "module": name,
        "groups": len(supernet.groups),
        "fixed": len(supernet.fixed),
        "seconds": measure.figure(times["ours"].median),
        "cpu_seconds": measure.figure(times["ours"].cpu_median),
        "largest_true_macs": largest["true_macs"],
        "smallest_true_macs": smallest["true_macs"],
        "params_at_half": measure.figure(supernet.cost(half, SIDE)["params"] / largest["params"]),
        "supernet_to_extracted": measure.figure(difference(supernet, x, genomes)),
        "onnx_to_pytorch": exported(supernet, x),
        "peer": handled,
        "peer_params_at_half": None if share is None else measure.figure(share),
        "peer_cpu_seconds": None if share is None else measure.figure(times["peer"].cpu_median),
    }


def main() -> None:
    chosen = measure.options(__doc__, turns=3, threads=1)
    peer = importlib.util.find_spec(PEER) is not None
    if not peer:
        print("torch-pruning is not installed, so its columns are empty; pip install torch-pruning")
    names, genomes = (QUICK, 2) if chosen.quick else (tuple(ZOO), 20)
    rows = []
    for name in names:
        rows.append(row(name, chosen.turns, genomes, peer))
        print(f"{len(rows)}/{len(names)} {name}: {rows[-1]}", file=sys.stderr, flush=True)
    facts = {} if not peer else {"peer": f"torch-pruning {importlib.metadata.version('torch-pruning')}"}
    measure.report("generators", chosen, rows, size=SIDE, genomes=genomes, **facts)


if __name__ == "__main__":
    main()
