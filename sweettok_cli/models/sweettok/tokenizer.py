"""SweetTok behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping

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
    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_batch`."""
        with self.autocast():
            return self.network.encode(to_video(clips))._asdict()

    @torch.inference_mode()
    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`Tokenizer.decode_batch`.

        Raises:
            SweettokError: the network ends before pixels, as the published first stage does.
        """
        if not self.network.config.pixels:
            raise SweettokError(
                f"{self.spec.name} is a first-stage network, which encodes and has no pixel decoder; "
                "decode with a model of a later stage."
            )
        with self.autocast():
            video = self.network.decode(tokens["spatial"], tokens["temporal"], height, width)
        return to_frames(video, truncate=self.truncate)
