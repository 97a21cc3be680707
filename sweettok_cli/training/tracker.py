"""Where figures and samples go beside the log: TensorBoard, trackio, Weights & Biases, or nowhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.video import VideoReader

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_PROJECT = "sweettok"
_INSTALLED_BY = {"tensorboard": "'sweettok[track]'", "trackio": "trackio", "wandb": "wandb"}
_NAME_FILE = "tracked-as.txt"  # in a run's folder: what others call the run
_GIF_CLOCK = 100  # ticks a second that a GIF counts
_GIF_PIXELS = 3_000_000  # of all frames together


class Tracker(Protocol):
    """One run, as another program keeps it."""

    fresh: bool  # whether it has nothing of the run yet
    where: str  # for people: where it is to be seen

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Take in what was measured after ``step`` steps, by name."""

    def sample(self, step: int, name: str, path: Path) -> None:
        """Take in a picture (.png) or a video (.mp4)."""

    def close(self) -> None:
        """Write all that there is."""


def check_tracker(name: str) -> None:
    """Find out whether a tracker (``none``, ``tensorboard``, ``trackio``, ``wandb``) is installed.

    Raises:
        SweettokError: it is not.
    """
    if name == "none":
        return
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:  # trackers leave folders of their own name
        raise SweettokError(
            f"tracker = {name} needs the package {name}, which is not installed; install it with: "
            f"pip install {_INSTALLED_BY[name]}, or leave it out: --set tracker=none."
        )


def open_tracker(recipe: Recipe, folder: Path, step: int, logged: int) -> Tracker | None:
    """The tracker that the recipe names, for the run in ``folder``; None if it names none.

    A run that goes on after ``step`` steps (-1: that begins) goes on there, too; the log held it up to step
    ``logged`` before.

    Raises:
        SweettokError: it is not installed, or does not begin.
    """
    check_tracker(recipe.tracker)
    if recipe.tracker == "none":
        return None
    if recipe.tracker == "tensorboard":
        return TensorBoard(folder / "tensorboard", step)
    kept = folder / _NAME_FILE
    fresh = step < 0 or not kept.exists()
    if fresh:
        with atomic_output(kept, force=True) as part:
            part.write_text(f"{folder.absolute().name}-{secrets.token_hex(4)}\n", encoding="utf-8")
    name = kept.read_text(encoding="utf-8").strip()
    begin = {"wandb": _wandb, "trackio": _trackio}[recipe.tracker]
    try:
        return begin(folder, name, recipe, -1 if fresh else logged)
    except Exception as error:  # of programs and services of others
        why = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise SweettokError(
            f"tracker = {recipe.tracker} does not begin ({why}); see to it, or leave it out: "
            "--set tracker=none."
        ) from error


class TensorBoard:
    """Event files in ``folder``. Videos become GIFs, which TensorBoard shows among the pictures.

    What was written of a run after ``step`` steps, from which it goes on now, is taken back.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.fresh, self.where = not folder.exists(), f"tensorboard --logdir {folder.parent}"
        self._writer = EventFileWriter(str(folder))
        self._add(step + 1, session_log=SessionLog(status=SessionLog.START))

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """As :meth:`Tracker.figures`."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        entries = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step, summary=Summary(value=entries))

    def sample(self, step: int, name: str, path: Path) -> None:
        """As :meth:`Tracker.sample`."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        data = path.read_bytes() if path.suffix == ".png" else _as_gif(path)
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=data)
        self._add(step, summary=Summary(value=[Summary.Value(tag=name, image=image)]))

    def close(self) -> None:
        """As :meth:`Tracker.close`."""
        self._writer.close()

    def _add(self, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))
        self._writer.flush()


def _as_gif(path: Path) -> bytes:
    """A video as a GIF of the same moments, smaller than that."""
    from PIL import Image

    with VideoReader(path) as reader:
        shown = list(reader)
    frames = [Image.fromarray(frame.rgb) for frame in shown]
    ticks = [round(frame.time * _GIF_CLOCK) for frame in shown]
    width, height = frames[0].size
    scale = min(1.0, (_GIF_PIXELS / (width * height * len(frames))) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = [_in_few_colours(frame.resize(size, Image.Resampling.BOX)) for frame in frames]
    # Players show nothing faster than two ticks.
    lasts = [max(2, b - a) * 1000 // _GIF_CLOCK for a, b in itertools.pairwise(ticks)]
    lasts += lasts[-1:] or [1000]
    made = io.BytesIO()
    small[0].save(made, format="GIF", save_all=True, append_images=small[1:], duration=lasts, loop=0)
    return made.getvalue()


def _in_few_colours(frame: Picture) -> Picture:
    """256 of its own, those of one pixel in sixteen: of all, finding them takes seconds a frame."""
    from PIL import Image

    few = frame.resize((-(-frame.width // 4), -(-frame.height // 4)), Image.Resampling.NEAREST)
    return frame.quantize(palette=few.quantize(256), dither=Image.Dither.NONE)


class Service:
    """A run that a package of others keeps, which takes steps in their order: none twice.

    Args:
        log: takes values by name, of a step.
        media: makes what ``log`` takes of a picture or a video, by ending.
        end: closes it.
        where: the run is to be seen.
        logged: the last step that it has; -1 if none.
    """

    def __init__(
        self,
        log: Callable[..., Any],
        media: Mapping[str, Callable[[Path], Any]],
        end: Callable[[], Any],
        where: str,
        logged: int,
    ) -> None:
        self._log, self._media, self._end, self._logged = log, media, end, logged
        self.fresh, self.where = logged < 0, where

    def figures(self, step: int, values: Mapping[str, Any]) -> None:
        """As :meth:`Tracker.figures`."""
        if step > self._logged:
            self._log(dict(values), step=step)

    def sample(self, step: int, name: str, path: Path) -> None:
        """As :meth:`Tracker.sample`."""
        if step > self._logged:
            self._log({name: self._media[path.suffix](path)}, step=step)

    def close(self) -> None:
        """As :meth:`Tracker.close`."""
        with _silently():
            self._end()


@contextmanager
def _silently() -> Iterator[None]:
    """Standard output is the command's own."""
    with redirect_stdout(io.StringIO()):
        yield


def _wandb(folder: Path, name: str, recipe: Recipe, logged: int) -> Service:
    import wandb

    # Its own output would be written into ours.
    quiet = wandb.Settings(silent=True, console="off")
    config = dataclasses.asdict(recipe)
    about = {"project": _PROJECT, "name": name, "config": config, "dir": folder}
    with _silently():
        run = wandb.init(id=name, resume="allow", settings=quiet, **about)
    media = {
        ".png": lambda path: wandb.Image(str(path)),
        ".mp4": lambda path: wandb.Video(str(path), format="mp4"),
    }
    return Service(run.log, media, run.finish, run.url or str(folder / "wandb"), logged)


def _trackio(folder: Path, name: str, recipe: Recipe, logged: int) -> Service:
    import trackio

    with _silently():
        config = dataclasses.asdict(recipe)
        run = trackio.init(project=_PROJECT, name=name, resume="allow", config=config, embed=False)
    media = {
        ".png": lambda path: trackio.Image(path),
        ".mp4": lambda path: trackio.Video(path, format="mp4"),
    }
    return Service(run.log, media, trackio.finish, f"trackio show --project {_PROJECT}", logged)
