"""SweetTok behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.quantizers import LanguagePrior, WordGraphTensors
from sweettok_cli.models.sweettok import SweetTok
from sweettok_cli.tokenizers.base import Tokenizer, TokenizerSpec
from sweettok_cli.weights_store.local import load_model_folder, read_config


class SweetTokTokenizer(Tokenizer):
    """A SweetTok network with its words.

    Weights and codes stay float32; a narrower ``dtype`` is used for the arithmetic in between (autocast).
    """

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Read a model folder; raises SweettokError if it is damaged or incomplete."""
        table = read_config(folder)
        config, state, words = load_model_folder(folder)
        graphs = (words.spatial, words.temporal)
        blank = [
            WordGraphTensors.blank(len(g.modifiers), len(g.heads), g.vectors.shape[1], g.edges.shape[1])
            for g in graphs
        ]
        network = SweetTok(config, LanguagePrior(*blank))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise SweettokError(
                f"The weights of {folder} do not fit its configuration; fetch or export the model again."
            ) from error
        self.network = network.to(device).eval()
        self.network.freeze_codebook()
        self.device, self.dtype = device, dtype
        self.batch_clips = 8 if device.type == "cuda" else 1
        self._words = {
            half: (list(g.modifiers), list(g.heads))
            for half, g in zip(("spatial", "temporal"), graphs, strict=True)
        }
        side = config.tile * config.patch
        spatial, temporal = config.token_counts(side, side)
        self.spec = TokenizerSpec(
            name=str(table["name"]),
            clip_frames=config.frames,
            multiple=side,
            codebooks={
                "spatial": list(network.quantize_spatial.sizes),
                "temporal": list(network.quantize_temporal.sizes),
            },
            weights_sha256=str(table["weights_sha256"]),
            tokens_per_tile={"spatial": spatial, "temporal": temporal},
        )

    def words(self) -> dict[str, tuple[list[str], list[str]]]:
        """The words behind the ids: ``{"spatial": (adjectives, nouns), "temporal": (adverbs, verbs)}``."""
        return self._words

    @torch.inference_mode()
    def encode(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`Tokenizer.encode`."""
        video = torch.from_numpy(np.ascontiguousarray(clips)).to(self.device)
        video = video.permute(0, 4, 1, 2, 3).float() / 255 - 0.5  # [b, 3, t, h, w]
        with self._autocast():
            ids = self.network.encode(video)
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
        video = (video.float().clamp(-0.5, 0.5) + 0.5) * 255
        return video.round().to(torch.uint8).permute(0, 2, 3, 4, 1).cpu().numpy()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def _indices(ids: Tensor) -> np.ndarray:
    return ids.cpu().numpy().astype(np.uint16)
