"""VidTok behind the tokenizer interface: discrete codes (FSQ) and continuous latents (KL)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.tokenizer import NetworkTokenizer, as_indices
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.models.vidtok.regularizers import GaussianLatents
from sweettok_cli.models.vidtok.stream import DecoderStream, EncoderStream
from sweettok_cli.tokens.layout import TokenizerSpec


class VidTokTokenizer(NetworkTokenizer):
    """Any VidTok network.

    Version 1.1 reads a video as one stream: its convolutions go on where the piece before ended, and frames
    that depend on latents to come are held back until these are there. The result is that of the whole video
    at once, without the seams that the published ``use_tiling`` leaves.
    """

    network: VidTok

    def __init__(
        self,
        spec: TokenizerSpec,
        network: VidTok,
        device: torch.device,
        dtype: torch.dtype,
        sample: int | None = None,
    ) -> None:
        """Move the network to the device and switch it to inference.

        Args:
            spec: the facts about it.
            network: with its weights.
            device: to compute on.
            dtype: of the arithmetic.
            sample: seed with which KL latents are drawn; None for their mean. What a clip gets depends on the
                clips that were encoded before it.
        """
        super().__init__(spec, network, device, dtype)
        self.config = network.config
        self.batch_clips = 1
        self._sample = sample
        self._generator: torch.Generator | None = None if sample is None else torch.Generator(device)
        self.redraw()

    def redraw(self) -> None:
        """As :meth:`Tokenizer.redraw`."""
        if self._generator is not None and self._sample is not None:
            self._generator.manual_seed(self._sample)

    def encode_clips(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`Tokenizer.encode_clips`."""
        return next(self.encode_stream([clips]))

    def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """As :meth:`Tokenizer.decode_clips`."""
        return np.concatenate(list(self.decode_stream([arrays], height, width)), axis=1)

    def encode_stream(self, pieces: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """As :meth:`Tokenizer.encode_stream`."""
        stream = EncoderStream(self.network)
        for piece in pieces:
            with torch.inference_mode(), self.autocast():
                found = stream.push(to_video(piece, self.device, reach=1.0))
                arrays = self._stored(found)
            yield arrays

    def decode_stream(
        self, arrays: Iterable[Mapping[str, np.ndarray]], height: int, width: int
    ) -> Iterator[np.ndarray]:
        """As :meth:`Tokenizer.decode_stream`."""
        stream = DecoderStream(self.network)
        # Version 1.1 gives back the copies of the first frame that encoding put in front of it.
        extra = self.config.time_factor - 1 if self.config.version == "1.1" else 0
        name = "latents" if self.config.regularizer == "kl" else "indices"
        pieces = (self._given(piece[name], height, width) for piece in arrays)
        for given in chain(pieces, [None]):
            with torch.inference_mode(), self.autocast():
                video = stream.finish() if given is None else stream.push(given)
                frames = to_frames(video, reach=1.0, truncate=self.truncate)
            dropped = min(extra, frames.shape[1])
            extra -= dropped
            if frames.shape[1] > dropped:
                yield frames[:, dropped:]

    def _stored(self, found: Tensor | GaussianLatents) -> dict[str, np.ndarray]:
        if isinstance(found, Tensor):
            return {"indices": as_indices(found, self.config.codes)}
        latents = found.mean if self._generator is None else found.sample(self._generator)
        return {"latents": latents.to(torch.float16).cpu().numpy()}

    def _given(self, array: np.ndarray, height: int, width: int) -> Tensor:
        factor = self.config.space_factor
        if array.shape[-2:] != (height // factor, width // factor):
            raise ValueError(f"tokens {list(array.shape)} are not those of {width}x{height} pixels")
        kind = np.float32 if array.dtype == np.float16 else np.int64
        return torch.from_numpy(array.astype(kind)).to(self.device)
