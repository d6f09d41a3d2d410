"""The verb that people play with: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketgan.cli.options import ModelText, Quiet
from pocketgan.progress import progress_shown


def demo(
    model: ModelText,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Where it listens; default 8765, else any that is free.")
    ] = None,
    static: Annotated[
        Path | None, typer.Option(help="Write the page as a new folder for any static host, and serve nothing.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Where the images of a run are now; of a model, a folder of images to start from."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """A page to play with: draw or load an input, see the outputs live, slide the budget."""
    import signal
    import tempfile

    from pocketgan.demo.folder import write_folder
    from pocketgan.demo.offer import offer_of
    from pocketgan.demo.server import PORT, Server
    from pocketgan.demo.site import site_of
    from pocketgan.demo.translator import Translator
    from pocketgan.errors import OutputError
    from pocketgan.units import bytes_text

    with tempfile.TemporaryDirectory() as cache:
        with progress_shown(quiet=quiet) as progress:
            offer = offer_of(model, Path(cache), data, progress)
        site = site_of(offer, served=static is None)
        if static is not None:
            written = write_folder(site, static)
            print(f"{static}: {bytes_text(written)}; how to host it stands in {static / 'HOSTING.txt'}")
            return
        translator = Translator(offer)
        try:
            server = Server(site, translator, PORT if port is None else port)
        except OutputError:
            if port is not None:
                raise
            server = Server(site, translator, 0)
        # a server in the background of a shell ignores Ctrl-C, and must end at a polite kill all the same
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with server:
            print(f"open {server.address} in a browser; Ctrl-C ends it", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return
