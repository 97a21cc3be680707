"""The command line: every command registered, every error one sentence.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. ``SWEETTOK_DEBUG=1`` adds the traceback.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer import Option

from sweettok_cli.cli.codebook import codebook_app
from sweettok_cli.cli.decode import decode
from sweettok_cli.cli.doctor import doctor
from sweettok_cli.cli.encode import encode
from sweettok_cli.cli.evaluate import evaluate
from sweettok_cli.cli.info import info
from sweettok_cli.cli.models import models_app
from sweettok_cli.cli.output import FAILED, INTERRUPTED, debugging, explain
from sweettok_cli.cli.roundtrip import roundtrip
from sweettok_cli.cli.train import train
from sweettok_cli.cli.words import words
from sweettok_cli.runtime import __version__, let_waiting_threads_sleep

# Plain help: it keeps the layout of the examples, reads well in a pipe, and answers in a third of the time.
app = typer.Typer(
    name="sweettok",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sweettok {__version__}")
        raise typer.Exit


@app.callback()
def sweettok(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Video to discrete tokens and back.

    A clip of 17 frames at 256x256 becomes 256 spatial tokens (what is seen) and 1024 temporal tokens (how it
    moves), and comes back as video.

    Examples:

        sweettok encode clip.mp4

        sweettok info clip.npz

        sweettok decode clip.npz
    """


app.command()(encode)
app.command()(decode)
app.command(short_help="Encode, decode, and show what became of a clip.")(roundtrip)
app.command(short_help="Show what a token file, video or model holds.")(info)
app.command(short_help="Show the words that a clip's tokens name.")(words)
app.command("eval", short_help="Measure how well videos survive: PSNR, SSIM, bits.")(evaluate)
app.command(short_help="Train a tokenizer, one stage of the curriculum.")(train)
app.add_typer(models_app, name="models")
app.add_typer(codebook_app, name="codebook")
app.command()(doctor)


def main() -> None:
    """Run the command line and exit."""
    # File names need not be text; they are printed as the bytes they are.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(logging.Formatter("warning: %(message)s"))
    let_waiting_threads_sleep()
    # When asked to end, and when the terminal is closed, unfinished files are removed on the way out.
    for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")):
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the second
            signal.signal(number, _end)
    try:
        try:
            app(prog_name="sweettok")
        finally:
            # Here and not at the interpreter's exit, where a closed pipe could no longer be handled.
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if debugging():
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        raise SystemExit(FAILED) from None


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
