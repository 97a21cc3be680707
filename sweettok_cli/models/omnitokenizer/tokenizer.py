"""OmniTokenizer behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.tokenizer import NetworkTokenizer
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer


class OmniTokenizerTokenizer(NetworkTokenizer):
    """The vector-quantised OmniTokenizer: an index for 8x8 pixels of the first frame, for 4x8x8 after."""

    network: OmniTokenizer

    @torch.inference_mode()
    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_batch`."""
        with self.autocast():
            return {"indices": self.network.encode(to_video(clips))}

    @torch.inference_mode()
    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`Tokenizer.decode_batch`."""
        patch, indices = self.network.config.patch, tokens["indices"]
        if indices.ndim != 4 or indices.shape[2:] != (height // patch, width // patch):
            what = f"indices of shape {list(indices.shape)}"
            raise ValueError(f"{what} are not those of {width}x{height} pixels")
        with self.autocast():
            video = self.network.decode(indices)
        return to_frames(video, truncate=self.truncate)
