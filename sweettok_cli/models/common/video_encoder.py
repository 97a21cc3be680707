"""One video on its way to a token file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
from torch import Tensor

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.models.common.streams import EncoderStream, OnFrames
from sweettok_cli.models.common.token_buffer import TokenBuffer
from sweettok_cli.tokens.description import describe_tokens, video_name
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.limits import MAX_ARRAY_BYTES
from sweettok_cli.tokens.meta import Tokens, clip_count
from sweettok_cli.tokens.ragged import rows_in
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.selection import WHOLE, Selection


class VideoEncoder:
    """Frames with their times in, :class:`Tokens` out; see :meth:`Tokenizer.video_encoder`.

    Args:
        info: of the source.
        spec: of the tokenizer.
        fit: how frames are padded.
        stream: of the tokenizer, that takes them.
        stored: turns its tokens into arrays as token files hold them.
        overlap: frames that each clip repeats of the one before.
        budget: what was asked for, in words.
        selection: which frames of the source come.
        keep: whether :meth:`finish` shall give all tokens.
    """

    def __init__(
        self,
        info: VideoInfo,
        spec: TokenizerSpec,
        fit: Fit,
        stream: EncoderStream,
        stored: Callable[[Mapping[str, Tensor]], dict[str, np.ndarray]],
        overlap: int = 0,
        budget: str = "",
        selection: Selection = WHOLE,
        *,
        keep: bool = True,
    ) -> None:
        self._info, self._spec, self._fit, self._stream, self._stored = info, spec, fit, stream, stored
        self._overlap, self._budget, self._selection, self._keep = overlap, budget, selection, keep
        image = info.is_image
        expected = 1 if image else info.frames and clip_count(info.frames, spec.clip_frames, overlap)
        self._buffer = TokenBuffer(stream.axis, expected)
        self._times: list[Fraction] = []
        self._begun = False

    def tell(self, on_frames: OnFrames | None) -> None:
        """Tell ``on_frames`` how many frames are encoded, with parts of them."""
        self._stream.on_frames = on_frames

    def push(self, frame: np.ndarray, time: Fraction) -> dict[str, np.ndarray]:
        """Take the next frame, uint8 RGB ``[h, w, 3]``, which shows at ``time`` in seconds.

        Returns:
            The arrays of what is complete with it; nothing where that is nothing.

        Raises:
            SweettokError: the video is too long for one token file.
        """
        self._begun = True
        if self._keep:
            self._times.append(time)
        return self._kept(self._stream.push(frame[None]))

    def rest(self) -> dict[str, np.ndarray]:
        """The arrays of what is left; nothing more may be pushed.

        Raises:
            SweettokError: there was no frame.
        """
        found = self._kept(self._stream.finish())
        if not self._begun:
            name = video_name(self._info)
            raise SweettokError(f"{name} holds no frame that can be decoded; it is damaged, fetch it again.")
        return found

    def finish(self) -> Tokens:
        """The tokens of the whole video.

        Raises:
            SweettokError: there was no frame, or the tokens cannot be stored.
        """
        self.rest()
        arrays = self._buffer.arrays()
        rows = rows_in(arrays, self._spec.levels)
        told = self._overlap, self._times, rows, self._budget, self._selection
        try:
            meta = describe_tokens(self._info, self._spec, self._fit, *told)
        except TokenFault as fault:
            why = f"it {fault.problem}; {fault.remedy}"
            raise SweettokError(f"The tokens of {video_name(self._info)} cannot be stored: {why}.") from fault
        return Tokens(arrays, meta)

    @property
    def frames(self) -> int:
        """Frames of the source whose tokens have been given."""
        return self._stream.frames

    @property
    def worst(self) -> float | None:
        """As :attr:`EncoderStream.worst`."""
        return self._stream.worst

    def _kept(self, tokens: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        stored = self._stored(tokens)
        if not self._spec.codebooks and not all(np.isfinite(array).all() for array in stored.values()):
            raise SweettokError(
                f"{self._spec.name} turns {video_name(self._info)} into values that are not finite numbers; "
                f"pass {option('dtype', 'float32')}, or pull or convert the model again."
            )
        if self._keep:
            self._buffer.add(stored)
        if self._buffer.nbytes > MAX_ARRAY_BYTES:
            name = video_name(self._info)
            raise SweettokError(f"{name} is too long for one token file; cut it into parts and encode each.")
        return stored
