"""`python -m pocketgan.cli` is `pocketgan`."""

from pocketgan.cli import main

main()
