"""One model, and several videos that are read for it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweettok_cli.models.common.budget import USUAL
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.folder import encode_job
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.tokens.layout import TokenizerSpec

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer

# Videos that are open at once, and clips of each that are sent together where memory says how many go through
# the model: enough for two batches.
_MOST_OPEN, _CLIPS_OF_EACH = 32, 4


@dataclass(frozen=True)
class Filling:
    """How clips of several videos fill batches.

    Attributes:
        videos: that are open at once.
        clips: of one video that are sent to the model together.
        most: clips that go through the model at once; None: as many as the GPU's memory holds.
    """

    videos: int
    clips: int
    most: int | None

    @classmethod
    def of(cls, spec: TokenizerSpec, options: Mapping[str, Any], device: str) -> Filling | None:
        """What there is to gain; None where videos are encoded one after the other.

        So are those of models that share out bits among a video's clips, that carry their state along, or
        whose latents are numbers, the last digits of which depend on the batch; and all on processors, which
        one clip keeps busy, unless several are asked for.

        Args:
            spec: of the tokenizer.
            options: for :func:`~sweettok_cli.pipeline.folder.encode_job`.
            device: that the model is loaded on.
        """
        shares = bool(spec.levels) and not options.get("budget", USUAL).fixed
        most = options.get("batch_clips")
        if shares or not spec.codebooks or spec.stream_frames is not None or most == 1:
            return None
        if most is None:
            return cls(_MOST_OPEN, _CLIPS_OF_EACH, None) if device.startswith("cuda") else None
        videos = min(2 * most, _MOST_OPEN)
        return cls(videos, -(-2 * most // videos), most)


class SharedModel:
    """A model of this process for several threads, each with a video of its own; a lane for all of them.

    Args:
        tokenizer: that encodes each clip by itself.
        options: for :func:`~sweettok_cli.pipeline.folder.encode_job`.
        filling: how much at once.
    """

    def __init__(self, tokenizer: Tokenizer, options: Mapping[str, Any], filling: Filling) -> None:
        from sweettok_cli.models.common.batcher import Batcher
        from sweettok_cli.models.common.room import Room

        encode, most = tokenizer.encode_waiting, filling.most
        room = Room(encode, tokenizer.device) if most is None else lambda shape: most
        self._batcher = Batcher(encode, room)
        self._tokenizer = tokenizer.through(self._batcher.encode, filling.clips, filling.videos)
        self._options = {**options, "batch_clips": None}

    def encode(self, job: Job) -> Result:
        """As :meth:`~sweettok_cli.pipeline.dataset.Engine.encode`.

        Raises:
            Stopped: it was told to stop.
        """
        return encode_job(job, self._tokenizer, force=True, on_progress=ignore_progress, **self._options)

    def begin(self) -> None:
        """As :meth:`~sweettok_cli.pipeline.crew.Lane.begin`."""
        self.expect(1)

    def rest(self) -> None:
        """As :meth:`~sweettok_cli.pipeline.crew.Lane.rest`."""
        self.expect(-1)

    def expect(self, more: int) -> None:
        """So many lanes more begin, or rest."""
        self._batcher.expect(more)

    def stop(self) -> None:
        """As :meth:`~sweettok_cli.pipeline.crew.Lane.stop`."""
        self._batcher.stop()
