"""The command line. Verbs are the user's sentences; only this package prints and exits.

Heavy imports are local to the verbs, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from pocketgan import __version__
from pocketgan.cli.compress import compress, plan
from pocketgan.cli.demo import demo
from pocketgan.cli.devices import check_alone
from pocketgan.cli.doctor import doctor
from pocketgan.cli.evaluate import evaluate
from pocketgan.cli.export import export
from pocketgan.cli.fold import fold
from pocketgan.cli.foreign import import_
from pocketgan.cli.models import profile, translate
from pocketgan.cli.pick import pick
from pocketgan.cli.prepare import prepare
from pocketgan.cli.runs import list_, report, run
from pocketgan.cli.show import say
from pocketgan.cli.store import store
from pocketgan.cli.study import study
from pocketgan.cli.worker import worker
from pocketgan.errors import OutputError, PocketGANError

#: looked up where it is loaded already: nobody else has others to speak to
_MANY = "pocketgan.distributed"


class Verbs(typer.core.TyperGroup):
    """The help names every verb with its whole sentence; and no verb does several times what is the work of one."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            sentences = {name: command.get_short_help_str(limit=500) for name, command in self.commands.items()}
            formatter.write_dl([*sentences.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = super().resolve_command(ctx, args)
        check_alone(found[0])
        return found


app = typer.Typer(
    cls=Verbs,
    pretty_exceptions_enable=False,
    # plain text: frames and colours cut words where a terminal is narrow
    rich_markup_mode=None,
    help="Compress conditional image-to-image GANs to a budget that you name.",
)

#: every verb with its example
VERBS: dict[Callable[..., None], str] = {
    compress: "pocketgan compress path/to/pairs --budget 1.5G --size 128",
    list_: "pocketgan list --json",
    plan: "pocketgan plan demo",
    run: "pocketgan run demo",
    worker: "pocketgan worker runs/demo",
    report: "pocketgan report runs/demo",
    pick: "pocketgan pick runs/demo --budget 100M",
    demo: "pocketgan demo runs/demo",
    study: "pocketgan study trade-off path/to/pairs --seeds 3 --seconds 150 --size 64",
    store: "pocketgan store check runs/demo",
    profile: "pocketgan profile mobile-resnet:32_32_48_32_48_48_16_16 --size 256 --json",
    evaluate: "pocketgan evaluate runs/demo path/to/pairs --size 128",
    translate: "pocketgan translate runs/demo sketches/*.png -o pictures",
    fold: "pocketgan fold runs/demo --images 2000",
    export: "pocketgan export runs/demo --format onnx,openvino -o small",
    import_: "pocketgan import latest_net_G.pth -o models/horse2zebra",
    prepare: "pocketgan prepare horse2zebra",
    doctor: "pocketgan doctor",
}
for _verb, _example in VERBS.items():
    app.command(_verb.__name__.rstrip("_"), epilog=f"Example: {_example}")(_verb)

#: click's own, or the copy of it that newer versions of typer bring along
UsageError: Any = typer.BadParameter.__mro__[1]


def version(asked: bool) -> bool:
    if asked:
        print(__version__)
        raise typer.Exit
    return asked


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Open images of up to so many pixels; default 178,956,970.")
    ] = None,
) -> None:
    if max_pixels:
        from pocketgan.data.raster import allow_pixels

        allow_pixels(max_pixels)


def main() -> None:
    """Run a command: 0 on success, 2 with one line on the user's mistake or Ctrl-C, 143 on SIGTERM, 1 on ours."""
    if "_POCKETGAN_COMPLETE" in os.environ:
        app(prog_name="pocketgan")  # a shell asks what may follow
    command = typer.main.get_command(app)

    def invoke() -> None:
        # not `app()`, which would turn Ctrl-C into a success
        with command.make_context("pocketgan", sys.argv[1:] or ["--help"]) as context:
            command.invoke(context)
        sys.stdout.flush()

    carry_through(invoke)


def carry_through(work: Callable[[], None]) -> None:
    """Do the work; whatever ends it, exit with one line and the code that `main` tells."""
    terminated = False

    def terminate(number: int, frame: Any) -> None:
        """A polite kill is a Ctrl-C: training saves where it stands. Asked again, it is still about that."""
        nonlocal terminated
        terminated = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGINT)

    def stopped() -> NoReturn:
        # 128 + 15 is what schedulers such as SLURM expect of a job that they pre-empt
        _fail("stopped; run the same command again to go on from here", 143 if terminated else 2)

    signal.signal(signal.SIGTERM, terminate)
    try:
        work()
    except BrokenPipeError:
        # the reader has left, as `head` does; and nothing more is to be written at the end of Python
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        stopped()
    except PocketGANError as error:
        # where the stop hit the code of others, it may have become an error that speaks of something else
        if terminated and not isinstance(error, OutputError):
            stopped()
        _fail(str(error), error.exit_code)
    except UsageError as error:
        verb = error.ctx.command_path if error.ctx else "pocketgan"
        _fail(f"{error.format_message().replace('Value error, ', '')} (see {verb} --help)", 2)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:
        from pocketgan.runtime import is_out_of_memory

        if terminated:
            stopped()
        if is_out_of_memory(error):
            _fail("this needs more memory than there is; choose a smaller --size, or another --device", 2)
        if _speaks(1):
            raise
        _end(1)


def _fail(text: str, code: int) -> NoReturn:
    """End with one line, and where several processes end, with that of the first one."""
    if _speaks(code):
        say(f"pocketgan: {' '.join(text.splitlines())}", err=True)
    _end(code)


def _speaks(code: int) -> bool:
    """Whether this process is the one to tell why all end."""
    many = sys.modules.get(_MANY)
    return many is None or many.speaks_first(code)


def _end(code: int) -> NoReturn:
    """Exit; at once where this process has met others.

    At its usual end Python takes down PyTorch's threads, and one that still waits for another process aborts
    instead, with a line of its own and another exit code.
    """
    many = sys.modules.get(_MANY)
    if many and many.has_met():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
