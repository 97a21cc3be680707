"""The one interface every video tokenizer stands behind."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from copy import copy
from fractions import Fraction
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import USUAL, Budget, check_budget
from sweettok_cli.models.common.hub import HubTokenizer
from sweettok_cli.models.common.streams import (
    CPU,
    ClipDecoder,
    ClipEncoder,
    DecoderStream,
    Encode,
    EncoderStream,
    OnFrames,
    WaitingClips,
)
from sweettok_cli.models.common.video_encoder import VideoEncoder
from sweettok_cli.packing.prior import prior_of_model
from sweettok_cli.packing.token_file import read_tokens
from sweettok_cli.tokens.description import check_match, fit_source
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.tokens.ragged import COUNTED, check_rows, counts_name
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.inputs import open_video, read_input
from sweettok_cli.video.pixels import as_clips, as_path, as_video
from sweettok_cli.video.selection import WHOLE, Selection

#: Frames a second of pixels that come without a rate.
_USUAL_RATE = 24


class Tokenizer(HubTokenizer, ABC):
    """A loaded model. Device and number format were fixed when it was loaded.

    :meth:`encode` and :meth:`decode` take a video as it is; :meth:`encoder` and :meth:`decoder` take one as
    it comes. Whoever makes batches of clips, in training a model on tokens say, uses :meth:`encode_clips`
    and :meth:`decode_clips`.
    """

    spec: TokenizerSpec
    device: torch.device = CPU
    #: Clips that go through the model at once when the caller has no opinion.
    batch_clips: int = 1
    #: Bytes of the frames of one video that may wait for the model together.
    most_waiting: int = 512 << 20
    #: Cut the network's values off to 8 bits in place of rounding them, as programs of some papers do.
    truncate: bool = False
    _through: Encode | None = None

    def __repr__(self) -> str:
        """What it is: model, network, codebooks, what a second of video costs, and where it runs."""
        spec = self.spec
        books = ", ".join(f"{name} {' x '.join(map(str, sizes))}" for name, sizes in spec.codebooks.items())
        side = spec.multiple * -(-256 // spec.multiple)
        clips = _USUAL_RATE / spec.clip_frames  # a second
        most, least = (clips / 1000 * spec.bits_per_clip(side, side, least=each) for each in (False, True))
        kbit = f"{least:.1f} to {most:.1f}" if spec.levels else f"{most:.1f}"
        facts = (
            f"{self._network()}clips of {spec.clip_frames} frames",
            f"codebooks {books}" if books else "continuous latents",
            f"{kbit} kbit/s at {side}x{side} and {_USUAL_RATE} fps",
            f"on {self.device}",
        )
        return f"{type(self).__name__}({spec.name!r}: {'; '.join(facts)})"

    def _network(self) -> str:
        return ""

    def encode(
        self,
        video: str | PathLike[str] | np.ndarray | Tensor,
        *,
        rate: Fraction | float | None = None,
        overlap: int = 0,
        budget: Budget = USUAL,
        keep_going: bool = False,
        strict: bool = False,
        selection: Selection = WHOLE,
    ) -> Tokens:
        """Tokens of a video or an image, of any length and size, as ``sweettok encode`` makes them.

        Args:
            video: the path of a file, or its address (``https://``, ``s3://``, ``hf://``; with
                ``sweettok[remote]``), which is read as it is encoded; or pixels in memory, RGB as uint8 or
                as floating point from 0 to 1: ``[t, h, w, 3]`` or ``[t, 3, h, w]``, of an image ``[h, w, 3]``
                or ``[3, h, w]`` (:func:`~sweettok_cli.video.pixels.as_frames`).
            rate: of pixels in memory, frames a second, kept with the tokens; 24 by default. A file has one.
            overlap: frames that each clip repeats of the one before; decoding cross-fades them.
            budget: how many bits it may take, or how good it shall be, of a model with levels.
            keep_going: take what is left of a file that is cut short.
            strict: refuse a file of which anything is missing.
            selection: which part of a file is taken, at which rate and size; of an array, slice it.

        Raises:
            TypeError, ValueError: pixels of another shape, type or range, or a rate that is none.
            SweettokError: the file cannot be read; the tokenizer takes no images, no overlap or no budget.
        """
        if isinstance(video, str | PathLike):
            if rate is not None:
                raise ValueError("A file states its own rate; give a rate with pixels in memory only.")
            source = read_input(video)
            with open_video(source, keep_going=keep_going, strict=strict, selection=selection) as reader:
                encoder = self.video_encoder(
                    reader.info, overlap=overlap, budget=budget, selection=reader.selection
                )
                for read in reader:
                    encoder.push(read.rgb, read.time)
                return encoder.finish()
        if selection:
            raise ValueError("A selection is of a file; of pixels in memory, take a slice.")
        frames, info = as_video(video, _USUAL_RATE if rate is None else rate)
        encoder = self.video_encoder(info, overlap=overlap, budget=budget)
        for number, frame in enumerate(frames):
            encoder.push(frame, number / info.rate)
        return encoder.finish()

    def decode(self, tokens: Tokens | str | PathLike[str]) -> np.ndarray:
        """The video that tokens stand for: uint8 RGB ``[t, h, w, 3]`` as the source, an image ``[h, w, 3]``.

        All of it is held in memory; :func:`~sweettok_cli.pipeline.decode.decode_video` writes a file as it
        decodes, and :func:`~sweettok_cli.video.pixels.write_video` writes what this returns.

        Args:
            tokens: as :meth:`encode` returns them, or the path of a token file, plain or packed.

        Raises:
            TypeError: neither.
            SweettokError: the tokens are another model's or damaged, or the file cannot be read.
        """
        if isinstance(tokens, str | PathLike):
            tokens = read_tokens(as_path(tokens), prior_of_model(self.folder, self.spec.name))
        elif not isinstance(tokens, Tokens):
            given = type(tokens).__name__
            raise TypeError(
                f"decode takes Tokens or the path of a token file, not {given}; arrays of clips go to "
                "decode_clips."
            )
        check_match(tokens.meta, self.spec, "The token array")
        try:
            tokens.check()
        except TokenFault as fault:
            raise SweettokError(f"The token array {fault.problem}; {fault.remedy}.") from fault
        frames = list(decode_frames(tokens, self))
        return frames[0] if tokens.meta.image else np.stack(frames)

    def video_encoder(
        self,
        info: VideoInfo,
        *,
        overlap: int = 0,
        batch_clips: int | None = None,
        budget: Budget = USUAL,
        selection: Selection = WHOLE,
        look_ahead: int | None = None,
        keep: bool = True,
    ) -> VideoEncoder:
        """What takes the frames of one source, and gives its tokens as for a token file.

        Args:
            info: of the source.
            overlap: as for :meth:`encoder`, like ``batch_clips``, ``budget`` and ``look_ahead``.
            selection: which frames of the source come, for the record.
            keep: whether the tokens of all of it shall be had at the end, and not only bit by bit.

        Raises:
            SweettokError: the source, the overlap or the budget does not suit the tokenizer.
        """
        fit = fit_source(info, self.spec, overlap)
        # Families need not know of a look-ahead that nobody asks about.
        ahead = {} if look_ahead is None else {"look_ahead": look_ahead}
        stream = self.encoder(
            fit, image=info.is_image, overlap=overlap, batch_clips=batch_clips, budget=budget, **ahead
        )
        told = str(budget), selection
        return VideoEncoder(info, self.spec, fit, stream, self.stored, overlap, *told, keep=keep)

    @property
    def folder(self) -> Path | None:
        """The model's folder, if it was loaded from one."""
        return None if self.origin is None else self.origin.path

    def encoder(
        self,
        fit: Fit,
        *,
        image: bool = False,
        overlap: int = 0,
        batch_clips: int | None = None,
        budget: Budget = USUAL,
        look_ahead: int | None = None,
    ) -> EncoderStream:
        """A stream that takes the frames of one video as they come.

        Args:
            fit: how they are padded, to multiples of ``spec.multiple``.
            image: the source is one picture.
            overlap: frames that each clip repeats of the one before.
            batch_clips: clips that go through the model at once; :attr:`batch_clips` by default.
            budget: for its tokens, of a model with levels.
            look_ahead: no more clips wait for each other, whatever the other options say: of live video, 1.

        Raises:
            SweettokError: a budget is given, and all clips of this model have the same number of tokens.
        """
        check_budget(budget, self.spec)
        length, overlap = (1, 0) if image else (self.spec.clip_frames, overlap)
        batch = min(batch_clips or self._batch(fit), look_ahead or sys.maxsize)
        return ClipEncoder(self._through or self.encode_waiting, fit, length, overlap, batch)

    def decoder(
        self,
        fit: Fit,
        *,
        overlap: int = 0,
        frames: int | None = None,
        clips: int | None = None,
        batch_clips: int | None = None,
    ) -> DecoderStream:
        """A stream that gives back the frames of one video.

        Args:
            fit: how the source's frames were padded.
            overlap: frames that neighbouring clips share.
            frames: of the source; None for all that come, with those that fill up the last clip.
            clips: of the whole video, where that is known.
            batch_clips: clips that go through the model at once; :attr:`batch_clips` by default.
        """
        decode = partial(self.decode_bands, height=fit.padded_height, width=fit.padded_width)
        batch, soften = batch_clips or self._batch(fit), self.spec.soft_seams
        return ClipDecoder(decode, fit, frames, batch, overlap, soften)

    def _batch(self, fit: Fit) -> int:
        """:attr:`batch_clips`, or fewer where their frames would fill the memory."""
        return max(1, min(self.batch_clips, self.most_clips(fit)))

    def most_clips(self, fit: Fit) -> int:
        """How many clips of such frames may wait for the model together."""
        return self.most_waiting // (3 * fit.width * fit.height * self.spec.clip_frames)

    def code_vectors(self) -> dict[str, Tensor]:
        """Where the codes lie in the space in which the model tells them apart, by list of codes.

        Lists are called as in :class:`~sweettok_cli.sequences.vocabulary.Vocabulary`; float32 [size, c] each,
        with a ``c`` of its own. None are given of continuous latents.
        """
        return {}

    def redraw(self) -> None:
        """Draw from the seed again, where latents are drawn: forget what was encoded before."""

    def encode_clips(self, clips: np.ndarray | Tensor, budget: Budget = USUAL) -> dict[str, np.ndarray]:
        """Arrays of a batch of clips.

        Args:
            clips: uint8 RGB ``[b, t, h, w, 3]``, ``h`` and ``w`` multiples of ``spec.multiple``; ``t`` is
                ``spec.clip_frames``, or 1 for images; of streams any that the network takes.
            budget: as for :meth:`encode`, of all clips together.

        Returns:
            One array a name, ``[b, *spec.clip_shapes(h, w)[name]]``, of the types that :meth:`stored` says;
            of a model with levels, unless ``budget.fixed``, rows and counts of all clips
            (:mod:`sweettok_cli.tokens.ragged`).

        Raises:
            TypeError, ValueError: no array, or a shape or type that the network does not take.
            SweettokError: the tokenizer takes no budget.
        """
        spec = self.spec
        check_budget(budget, spec)
        lengths = [*([1] if spec.images else []), spec.clip_frames] if spec.stream_frames is None else []
        batch = np.ascontiguousarray(as_clips(clips, lengths, spec.multiple))
        return self.stored(self.encode_within(torch.from_numpy(batch).to(self.device), budget))

    def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """Clips from arrays: the inverse of :meth:`encode_clips`.

        Args:
            arrays: as :meth:`encode_clips` returns them, in the range of the codebooks.
            height: of the padded frames, in pixels.
            width: of the padded frames, in pixels.

        Returns:
            uint8 RGB ``[b, t, height, width, 3]``.

        Raises:
            ValueError: arrays that do not fit the size, or rows that do not fit their counts.
        """
        spec = self.spec if any(name in arrays for name in COUNTED) else self.spec.fixed
        shapes: dict[str, list[int | str]] = {
            name: ["b", *shape] for name, shape in spec.clip_shapes(height, width).items()
        }
        for name in spec.levels:
            shapes[counts_name(name)] = shapes[name][:-1]
            shapes[name] = ["rows", shapes[name][-1]]
        if arrays.keys() != shapes.keys() or any(arrays[n].ndim != len(s) for n, s in shapes.items()):
            wanted = ", ".join(f"{name} {shape}".replace("'", "") for name, shape in shapes.items())
            given = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
            raise ValueError(f"The arrays of clips of {width}x{height} are {wanted}, not {given or 'none'}.")
        check_rows(arrays, spec.levels)
        return self.decode_batch(self.on_device(arrays), height, width).cpu().numpy()

    def through(self, encode: Encode, batch_clips: int, videos: int) -> Self:
        """This tokenizer, sending clips through ``encode`` in place of :meth:`encode_waiting`.

        Args:
            encode: gives what that would, perhaps on another device; of clips that are encoded each by
                itself.
            batch_clips: as :attr:`batch_clips`.
            videos: so many are open at once.
        """
        other = copy(self)
        other._through, other.batch_clips = encode, batch_clips
        other.most_waiting = self.most_waiting // videos
        return other

    def encode_waiting(self, clips: WaitingClips) -> dict[str, Tensor]:
        """As :meth:`encode_batch`; models that work in bands of rows ask for no more than these."""
        return self.encode_batch(clips.whole(self.device))

    def decode_bands(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Iterator[Tensor]:
        """As :meth:`decode_batch`, in bands of rows ``[b, t, rows, width, 3]`` from top to bottom."""
        yield self.decode_batch(tokens, height, width)

    def encode_within(self, clips: Tensor, budget: Budget) -> dict[str, Tensor]:
        """As :meth:`encode_batch`; models with levels keep to the budget."""
        return self.encode_batch(clips)

    @abstractmethod
    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`encode_clips`, on tensors of the device: indices and counts int64, latents float16."""

    @abstractmethod
    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`decode_clips`, on tensors of the device as :meth:`encode_batch` gives them."""

    def stored(self, tokens: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Tensors as token files hold them: uint16 (uint32 past 65,536 codes), or float16; counts uint8."""
        kinds: dict[str, type[np.generic]] = dict.fromkeys(COUNTED, np.uint8)
        for name, sizes in self.spec.codebooks.items():
            kinds[name] = np.uint16 if max(sizes) <= 1 << 16 else np.uint32
        return {name: t.cpu().numpy().astype(kinds.get(name, np.float16)) for name, t in tokens.items()}

    def on_device(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Undo :meth:`stored`; the arrays are copied, since those of a token file may not be written to."""
        found = {}
        for name, array in arrays.items():
            kind = np.float16 if array.dtype == np.float16 else np.int64
            found[name] = torch.from_numpy(np.array(array, kind, order="C")).to(self.device)
        return found


def decode_frames(
    tokens: Tokens,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    on_frames: OnFrames | None = None,
) -> Iterator[np.ndarray]:
    """The frames that tokens stand for, uint8 RGB [h, w, 3] at the source's size, one after the other.

    ``on_frames`` is told how many are decoded, with parts of them, before they come.
    The tokens must be made by ``tokenizer``: see :func:`~sweettok_cli.tokens.description.check_match`.
    """
    meta = tokens.meta
    stream = tokenizer.decoder(
        Fit(meta.width, meta.height, meta.padded_width, meta.padded_height),
        overlap=0 if meta.image else meta.overlap,
        frames=meta.frames,
        clips=meta.clips,
        batch_clips=batch_clips,
    )
    stream.on_frames = on_frames
    for part in stream.split(tokens.arrays):
        yield from stream.push(tokenizer.on_device(part))
    yield from stream.finish()
