"""Networks: what they compute, and nothing else. See `spec.py` for what a specification is."""

from pocketgan.networks.discriminators import PatchSpec
from pocketgan.networks.init import init_normal
from pocketgan.networks.presets import GeneratorSpec, parse_spec
from pocketgan.networks.resnet import ResnetSpec
from pocketgan.networks.spec import Generator, Genome, NetworkSpec, Tap, Widths, ignore, read_numbers, write_numbers

__all__ = [
    "Generator",
    "GeneratorSpec",
    "Genome",
    "NetworkSpec",
    "PatchSpec",
    "ResnetSpec",
    "Tap",
    "Widths",
    "ignore",
    "init_normal",
    "parse_spec",
    "read_numbers",
    "write_numbers",
]
