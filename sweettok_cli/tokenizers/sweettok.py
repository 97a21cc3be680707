"""SweetTok behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.models.frames import to_frames, to_video
from sweettok_cli.tokenizers.base import Tokenizer, TokenizerSpec
from sweettok_cli.weights_store.local import load_model_folder


class SweetTokTokenizer(Tokenizer):
    """A SweetTok network with its words.

    Weights and codes stay float32; a narrower ``dtype`` is used for the arithmetic in between (autocast).
    """

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Read a model folder; raises SweettokError if it is damaged or incomplete."""
        model = load_model_folder(folder)
        config, words = model.config, model.words
        self.network = model.network().to(device).eval()
        self.network.freeze_codebook()
        self.device, self.dtype = device, dtype
        self.batch_clips = 8 if device.type == "cuda" else 1
        self._words = {
            "spatial": (words.spatial.modifiers, words.spatial.heads),
            "temporal": (words.temporal.modifiers, words.temporal.heads),
        }
        side = config.tile * config.patch
        spatial, temporal = config.token_counts(side, side)
        self.spec = TokenizerSpec(
            name=model.name,
            clip_frames=config.frames,
            multiple=side,
            codebooks={
                "spatial": list(self.network.quantize_spatial.sizes),
                "temporal": list(self.network.quantize_temporal.sizes),
            },
            weights_sha256=model.weights_sha256,
            tokens_per_tile={"spatial": spatial, "temporal": temporal},
        )

    def words(self) -> dict[str, tuple[list[str], list[str]]]:
        """The words behind the ids: ``{"spatial": (adjectives, nouns), "temporal": (adverbs, verbs)}``."""
        return self._words

    @torch.inference_mode()
    def encode(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`Tokenizer.encode`."""
        with self._autocast():
            ids = self.network.encode(to_video(clips, self.device))
        return {"spatial": _indices(ids.spatial), "temporal": _indices(ids.temporal)}

    @torch.inference_mode()
    def decode(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """As :meth:`Tokenizer.decode`."""
        spatial, temporal = (
            torch.from_numpy(arrays[half].astype(np.int64)).to(self.device)
            for half in ("spatial", "temporal")
        )
        with self._autocast():
            video = self.network.decode(spatial, temporal, height, width)
        return to_frames(video)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def _indices(ids: Tensor) -> np.ndarray:
    return ids.cpu().numpy().astype(np.uint16)
