"""The command line: every command registered, every error one sentence.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. ``SWEETTOK_DEBUG=1`` adds the traceback.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer import Option

from sweettok_cli.cli.codebook import codebook_app
from sweettok_cli.cli.data import data_app
from sweettok_cli.cli.decode import decode
from sweettok_cli.cli.doctor import doctor
from sweettok_cli.cli.encode import encode
from sweettok_cli.cli.evaluate import evaluate
from sweettok_cli.cli.generate import generate
from sweettok_cli.cli.help import App, show_help, with_others
from sweettok_cli.cli.info import info
from sweettok_cli.cli.interruption import tell_of_end
from sweettok_cli.cli.models import models_app
from sweettok_cli.cli.output import BY_SIGNAL, FAILED, INTERRUPTED, MISUSED, debugging, explain, shown, tell
from sweettok_cli.cli.pack import pack, unpack
from sweettok_cli.cli.prior import prior
from sweettok_cli.cli.recognise import recognise
from sweettok_cli.cli.recognition import recognition_app
from sweettok_cli.cli.roundtrip import roundtrip
from sweettok_cli.cli.search import search
from sweettok_cli.cli.shards import export, import_
from sweettok_cli.cli.train import train
from sweettok_cli.cli.words import words
from sweettok_cli.errors import WrongUsage, on_command_line
from sweettok_cli.holding import sweep
from sweettok_cli.runtime import __version__, let_waiting_threads_sleep

app = App(name="sweettok", pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sweettok {__version__}")
        raise typer.Exit


@app.callback()
def sweettok(
    version: Annotated[
        bool, Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
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
app.command(short_help="Pack token files: the same tokens in fewer bits.")(pack)
app.command(short_help="Unpack packed token files.")(unpack)
app.command(short_help="Export token files as shards of flat sequences.")(export)
app.command("import", short_help="Turn shards back into token files.")(import_)
app.command(short_help="Encode, decode, and show what became of a clip.")(roundtrip)
app.command(short_help="Show what a token file, video or model holds.")(info)
app.command(short_help="Show the words that a clip's tokens name.")(words)
app.command(
    "eval",
    cls=with_others(recognition=recognition_app),
    short_help="Measure how well videos survive: PSNR, SSIM, bits.",
)(evaluate)
app.command(short_help="Tell the class of a clip from a few examples of each.")(recognise)
app.command(short_help="Rank files by the words they share with a query.")(search)
app.command(short_help="Train a tokenizer, or a generator over tokens.")(train)
app.command(short_help="Generate videos: new ones, or what follows a beginning.")(generate)
models_app.command(short_help="Make the token prior of a model, for packing.")(prior)
app.add_typer(models_app, name="models")
app.add_typer(codebook_app, name="codebook")
app.add_typer(data_app, name="data")
app.command()(doctor)
app.command("help")(show_help)


def main() -> None:
    """Run the command line and exit."""
    _open_streams()
    # File names need not be text; they are printed as the bytes they are, and what the terminal's encoding
    # lacks is spelt out.
    codecs.register_error("sweettok", _spelt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="sweettok")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Warning())
        if not debugging():
            logging.lastResort.addFilter(_OURS)
    let_waiting_threads_sleep()
    if not debugging():  # what libraries have to say is for their developers
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        for library in ("HF_HUB_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
            os.environ.setdefault(library, "error")
    # When asked to end, and when the terminal is closed, unfinished files are removed on the way out.
    for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")):
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the second
            signal.signal(number, _end)
    try:
        try:
            with on_command_line():
                app(prog_name="sweettok")
        finally:
            # Here and not at the interpreter's exit, where a closed pipe could no longer be handled.
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # whoever read it has seen enough
        raise SystemExit(FAILED) from None
    except (KeyboardInterrupt, SystemExit) as error:
        # One that passed through an exec, as modules have them, would make Python end itself by the signal.
        exec("")
        end = error if isinstance(error, SystemExit) else SystemExit(INTERRUPTED)
        if isinstance(end.code, int) and end.code > BY_SIGNAL:
            sweep()
            tell_of_end(end)
        raise end from None
    except Exception as error:
        if debugging():
            raise
        tell(f"error: {explain(error)}")
        try:
            sys.stdout.flush()
        except OSError:  # the disk is full, say, and would be again at the interpreter's exit
            _drop_output()
        raise SystemExit(MISUSED if isinstance(error, WrongUsage) else FAILED) from None


def _drop_output() -> None:
    """Let what is left of our output, which has nowhere to go, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_OURS = logging.Filter("sweettok_cli")


class _Warning(logging.Formatter):
    """A line that the package logs, as the command line shows lines."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(f"warning: {record.getMessage()}")


def _open_streams() -> None:
    """Give a process that was started with closed streams ones that lead nowhere.

    A file that is opened later would otherwise be given the number of stdout, and be written into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def _spelt(error: UnicodeError) -> tuple[bytes, int]:
    """What an encoding cannot hold: undecodable bytes as they are, other characters spelt out."""
    assert isinstance(error, UnicodeEncodeError)
    spelt = b""
    for character in error.object[error.start : error.end]:
        code = ord(character)
        lone = 0xDC80 <= code <= 0xDCFF
        spelt += bytes([code - 0xDC00]) if lone else character.encode("ascii", "backslashreplace")
    return spelt, error.end


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(BY_SIGNAL + number)
