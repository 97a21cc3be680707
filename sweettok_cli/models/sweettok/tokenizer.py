"""SweetTok behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordPrior
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.tokenizer import NetworkTokenizer
from sweettok_cli.models.sweettok.network import SweetTok
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

    @torch.inference_mode()
    def encode_clips(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`Tokenizer.encode_clips`."""
        with self.autocast():
            ids = self.network.encode(to_video(clips, self.device))
        return {"spatial": _indices(ids.spatial), "temporal": _indices(ids.temporal)}

    @torch.inference_mode()
    def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """As :meth:`Tokenizer.decode_clips`.

        Raises:
            SweettokError: the network ends before pixels, as the published first stage does.
        """
        if not self.network.config.pixels:
            raise SweettokError(
                f"{self.spec.name} is a first-stage network, which encodes and has no pixel decoder; "
                "decode with a model of a later stage."
            )
        spatial, temporal = (
            torch.from_numpy(arrays[half].astype(np.int64)).to(self.device)
            for half in ("spatial", "temporal")
        )
        with self.autocast():
            video = self.network.decode(spatial, temporal, height, width)
        return to_frames(video, truncate=self.truncate)


def _indices(ids: Tensor) -> np.ndarray:
    return ids.cpu().numpy().astype(np.uint16)
