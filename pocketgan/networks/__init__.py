"""Networks: what they compute, and nothing else. See `spec.py` for what a specification is."""

from pocketgan.networks.deep_resnet import DeepResnetSpec
from pocketgan.networks.discriminators import PatchSpec, PixelSpec, SharedPatchSpec
from pocketgan.networks.init import init_normal, initialise
from pocketgan.networks.ms_image import MsImageSpec
from pocketgan.networks.multiscale import MultiscaleSpec
from pocketgan.networks.munit import MunitSpec
from pocketgan.networks.presets import AnySpec, DiscriminatorSpec, GeneratorSpec, parse_spec
from pocketgan.networks.resnet import ResnetSpec
from pocketgan.networks.spade import SpadeSpec
from pocketgan.networks.spec import Generator, Genome, NetworkSpec, Tap, Widths, ignore, read_numbers, write_numbers
from pocketgan.networks.unet import UnetSpec

__all__ = [
    "AnySpec",
    "DeepResnetSpec",
    "DiscriminatorSpec",
    "Generator",
    "GeneratorSpec",
    "Genome",
    "MsImageSpec",
    "MultiscaleSpec",
    "MunitSpec",
    "NetworkSpec",
    "PatchSpec",
    "PixelSpec",
    "ResnetSpec",
    "SharedPatchSpec",
    "SpadeSpec",
    "Tap",
    "UnetSpec",
    "Widths",
    "ignore",
    "init_normal",
    "initialise",
    "parse_spec",
    "read_numbers",
    "write_numbers",
]
