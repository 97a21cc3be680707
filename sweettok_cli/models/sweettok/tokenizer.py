"""SweetTok behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordPrior
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.network_tokenizer import NetworkTokenizer
from sweettok_cli.models.common.streams import WaitingClips
from sweettok_cli.models.sweettok.banded import choose_bands, decode_bands, encode_bands
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.runtime import close_holes
from sweettok_cli.tokens.layout import TokenizerSpec


class SweetTokTokenizer(NetworkTokenizer):
    """A SweetTok network with its words."""

    network: SweetTok

    def __init__(
        self,
        spec: TokenizerSpec,
        network: SweetTok,
        words: WordPrior,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Move the network to the device, switch it to inference, and make its codebooks constants."""
        super().__init__(spec, network, device, dtype)
        network.freeze_codebook()
        self._words = {
            "spatial": (words.spatial.modifiers, words.spatial.heads),
            "temporal": (words.temporal.modifiers, words.temporal.heads),
        }

    def words(self) -> dict[str, tuple[list[str], list[str]]]:
        """The words behind the ids: ``{"spatial": (adjectives, nouns), "temporal": (adverbs, verbs)}``."""
        return self._words

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_batch`."""
        return self._encode_rows(lambda start, end: clips[:, :, start:end], *clips.shape[:4])

    def encode_waiting(self, clips: WaitingClips) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_waiting`: large frames are taken in bands."""
        return self._encode_rows(lambda start, end: clips.rows(start, end).to(self.device), *clips.shape)

    @torch.inference_mode()
    def _encode_rows(
        self, rows: Callable[[int, int], Tensor], clips: int, frames: int, height: int, width: int
    ) -> dict[str, Tensor]:
        with self.autocast():
            bands = choose_bands(self.network, clips, frames, height, width)
            if bands is None:
                return self.network.encode(to_video(rows(0, height)))._asdict()
            patch = self.network.config.patch
            edges = pairwise(accumulate((patch * count for count in bands.rows), initial=0))
            videos = (to_video(rows(start, end)) for start, end in edges)
            return encode_bands(self.network, bands, videos, still=frames == 1)._asdict()

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`Tokenizer.decode_batch`.

        Raises:
            SweettokError: the network ends before pixels, as the published first stage does.
        """
        return torch.cat(list(self.decode_bands(tokens, height, width)), dim=2)

    def decode_bands(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Iterator[Tensor]:
        """As :meth:`Tokenizer.decode_bands`; raises what :meth:`decode_batch` does."""
        if not self.network.config.pixels:
            raise SweettokError(
                f"{self.spec.name} is a first-stage network, which encodes and has no pixel decoder; "
                "decode with a model of a later stage."
            )
        videos = self._videos(tokens["spatial"], tokens["temporal"], height, width)
        while True:
            with torch.inference_mode(), self.autocast():
                video = next(videos, None)
                if video is None:
                    return
                shown = [to_frames(video, truncate=self.truncate)]
                del video
            yield shown.pop()

    def _videos(self, spatial: Tensor, temporal: Tensor, height: int, width: int) -> Iterator[Tensor]:
        frames = self.network.config.frames if temporal.shape[1] else 1
        bands = choose_bands(self.network, len(spatial), frames, height, width)
        if bands is None:
            yield self.network.decode(spatial, temporal, height, width)
        else:
            for video in decode_bands(self.network, bands, spatial, temporal, frames):
                yield video
                del video
                close_holes()
