"""OmniTokenizer behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.network_tokenizer import NetworkTokenizer
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer


class OmniTokenizerTokenizer(NetworkTokenizer):
    """Any OmniTokenizer: an index, or a few numbers, for 8x8 pixels of the first frame, for 4x8x8 after."""

    network: OmniTokenizer

    def code_vectors(self) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.code_vectors`."""
        if self.network.config.regularizer == "kl":
            return {}
        (size,) = self.spec.codebooks["indices"]
        codes = torch.arange(size, device=self.device)
        return {"codes": self.network.codebook.codes(codes).detach().float()}

    @torch.inference_mode()
    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_batch`."""
        with self.autocast():
            found = self.network.encode(to_video(clips))
        return {"indices": found} if isinstance(found, Tensor) else self.drawn(found)

    @torch.inference_mode()
    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`Tokenizer.decode_batch`."""
        patch, (name, given) = self.network.config.patch, next(iter(tokens.items()))
        if given.shape[-2:] != (height // patch, width // patch):
            raise ValueError(f"{name} {list(given.shape)} are not those of {width}x{height} pixels")
        with self.autocast():
            video = self.network.decode(given)
        return to_frames(video, truncate=self.truncate)
