"""OmniTokenizer behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.tokenizer import NetworkTokenizer, as_indices
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer


class OmniTokenizerTokenizer(NetworkTokenizer):
    """The vector-quantised OmniTokenizer: an index for 8x8 pixels of the first frame, for 4x8x8 after."""

    network: OmniTokenizer

    @torch.inference_mode()
    def encode_clips(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`Tokenizer.encode_clips`."""
        with self.autocast():
            indices = self.network.encode(to_video(clips, self.device))
        return {"indices": as_indices(indices, self.network.config.codes)}

    @torch.inference_mode()
    def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """As :meth:`Tokenizer.decode_clips`."""
        patch, indices = self.network.config.patch, arrays["indices"]
        if indices.ndim != 4 or indices.shape[2:] != (height // patch, width // patch):
            raise ValueError(
                f"indices of shape {list(indices.shape)} are not those of {width}x{height} pixels"
            )
        with self.autocast():
            video = self.network.decode(torch.from_numpy(indices.astype(np.int64)).to(self.device))
        return to_frames(video, truncate=self.truncate)
