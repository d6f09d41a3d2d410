"""`python -m pocketgan.cli` is `pocketgan` too."""

from pocketgan.cli import main

main()
