"""The one interface every video tokenizer stands behind, and what all that run a network share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import Tokens


class Tokenizer(ABC):
    """A loaded model. Device and number format were fixed when it was loaded; arrays here are plain NumPy.

    :meth:`encode` and :meth:`decode` take a video as it is. Whoever makes batches of clips, in training a
    model on tokens say, uses :meth:`encode_clips` and :meth:`decode_clips`.
    """

    spec: TokenizerSpec
    #: Clips to give :meth:`encode_clips` and :meth:`decode_clips` at once when the caller has no opinion.
    batch_clips: int = 1
    #: Cut the network's values off to 8 bits in place of rounding them, as programs of some papers do.
    truncate: bool = False

    def encode(self, video: np.ndarray, *, rate: Fraction | float = 24, overlap: int = 0) -> Tokens:
        """Tokens of a video in memory, of any length and size; what ``sweettok encode`` does with a file.

        Args:
            video: uint8 RGB ``[t, h, w, 3]``, or ``[h, w, 3]`` for an image.
            rate: frames a second, kept with the tokens.
            overlap: frames that each clip repeats of the one before; decoding cross-fades them.

        Raises:
            ValueError: another shape or type.
            SweettokError: the tokenizer takes no images, or no overlap.
        """
        from sweettok_cli.pipeline.video import encode_array

        return encode_array(video, self, rate=Fraction(rate).limit_denominator(1 << 20), overlap=overlap)

    def decode(self, tokens: Tokens) -> np.ndarray:
        """The video that tokens stand for: uint8 RGB ``[t, h, w, 3]`` of the source's length and size.

        An image comes back as ``[h, w, 3]``.

        Raises:
            SweettokError: the tokens are another model's.
        """
        from sweettok_cli.pipeline.video import check_match, decode_frames

        check_match(tokens.meta, self.spec, "The token array")
        frames = list(decode_frames(tokens, self))
        return frames[0] if tokens.meta.image else np.stack(frames)

    def redraw(self) -> None:  # noqa: B027  most have nothing to do
        """Draw from the seed again: what is encoded next does not depend on what was encoded before.

        Nothing happens for tokenizers that draw nothing.
        """

    @abstractmethod
    def encode_clips(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of a batch of clips.

        Args:
            clips: uint8 RGB ``[b, t, h, w, 3]``, ``h`` and ``w`` multiples of ``spec.multiple``; ``t`` is
                ``spec.clip_frames``, or 1 for images.

        Returns:
            One array a name, ``[b, *spec.clip_shapes(h, w)[name]]``: index arrays are uint16 (uint32 for
            codebooks of more than 65,536 codes), latents float16; see :mod:`sweettok_cli.tokens.meta`.

        Raises:
            ValueError: a shape that the network does not take.
        """

    @abstractmethod
    def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """Clips from arrays: the inverse of :meth:`encode_clips`.

        Args:
            arrays: as :meth:`encode_clips` returns them, in the range of the codebooks.
            height: of the padded frames, in pixels.
            width: of the padded frames, in pixels.

        Returns:
            uint8 RGB ``[b, t, height, width, 3]``.

        Raises:
            ValueError: arrays that do not fit the size.
        """

    def encode_stream(self, pieces: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """Arrays of one video that comes in pieces: only where ``spec.stream_frames`` is set.

        All state is in the returned iterator: any number may be under way at once.

        Args:
            pieces: uint8 RGB ``[1, t, h, w, 3]``: one frame first, then ``spec.stream_frames`` each; the last
                may be shorter, by whole cells of the grid.

        Yields:
            What each piece adds along the time axis, with a leading axis of 1.
        """
        raise NotImplementedError(f"{self.spec.name} encodes clips, not streams")

    def decode_stream(
        self, arrays: Iterable[Mapping[str, np.ndarray]], height: int, width: int
    ) -> Iterator[np.ndarray]:
        """Frames of one video, uint8 RGB ``[1, t, height, width, 3]`` a piece: the inverse of
        :meth:`encode_stream`.

        Args:
            arrays: in pieces as :meth:`encode_stream` yields them.
            height: of the padded frames, in pixels.
            width: of the padded frames, in pixels.
        """
        raise NotImplementedError(f"{self.spec.name} decodes clips, not streams")


class NetworkTokenizer(Tokenizer):
    """A network on a device.

    Weights and codes stay float32; a narrower ``dtype`` is used for the arithmetic in between (autocast).
    """

    def __init__(
        self, spec: TokenizerSpec, network: nn.Module, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Move the network to the device and switch it to inference."""
        self.spec = spec
        self.network = network.to(device).eval()
        self.device, self.dtype = device, dtype
        self.batch_clips = 8 if device.type == "cuda" else 1

    def autocast(self) -> torch.autocast:
        """The context in which the network is called."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def as_indices(ids: Tensor, codes: int) -> np.ndarray:
    """Indices as token files hold them: uint16, or uint32 for more than 65,536 codes."""
    return ids.cpu().numpy().astype(np.uint16 if codes <= 1 << 16 else np.uint32)
