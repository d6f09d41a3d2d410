"""The verb of helpers: worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketgan.cli.options import Device, Images, Quiet, StorageOption, StoreOption, Weights, read_weights
from pocketgan.cli.show import say


def worker(
    run: Annotated[Path, typer.Argument(help="The folder of a run that searches.", show_default=False)],
    storage: StorageOption = None,
    store: StoreOption = None,
    data: Images = None,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Help with the search of a run, from this machine or another one, until it is over."""
    from pocketgan.progress import progress_shown
    from pocketgan.runs.worker import help_with_search
    from pocketgan.runtime import Runtime
    from pocketgan.search import check_url

    if storage is not None:
        check_url(storage)
    runtime = Runtime(device=device, weights=read_weights(weights or []), store=store, storage=storage)
    with progress_shown({}, quiet=quiet) as progress:
        done = help_with_search(run, runtime, data, lambda count: progress("candidates", count, 0))
    say(f"the search is over; candidates scored here: {done}")
