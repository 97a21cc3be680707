"""OmniTokenizer behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.tokenizer import NetworkTokenizer, filled
from sweettok_cli.models.omnitokenizer.network import OmniConfig, OmniTokenizer
from sweettok_cli.storage.model_folder import read_weights
from sweettok_cli.zoo.spec import read_spec


class OmniTokenizerTokenizer(NetworkTokenizer):
    """The vector-quantised OmniTokenizer: an index for 8x8 pixels of the first frame, for 4x8x8 after."""

    network: OmniTokenizer

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Read a model folder; raises SweettokError if it is damaged or incomplete."""
        self.spec = read_spec(folder)
        header, state = read_weights(folder)
        with torch.device("meta"):
            network = OmniTokenizer(OmniConfig(**header.config))
        super().__init__(filled(network, header, state), device, dtype)

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
            raise ValueError(
                f"indices of shape {list(indices.shape)} are not those of {width}x{height} pixels"
            )
        with self.autocast():
            video = self.network.decode(indices)
        return to_frames(video, truncate=self.truncate)
