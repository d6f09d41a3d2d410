"""PocketGAN compresses conditional image-to-image GANs to a budget that you name."""

__version__ = "0.1.0"
