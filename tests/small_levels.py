"""A small network with levels of detail, and clips of which a half needs them."""

from __future__ import annotations

from pathlib import Path

import torch
from small_network import small_network, smooth_clips, word_prior
from torch import Tensor

from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.models.sweettok.growth import start_detail
from sweettok_cli.models.sweettok.initialise import start_linear
from sweettok_cli.models.sweettok.network import SweetTok, grown


def busy_clips(count: int = 6, frames: int = 17, height: int = 64, width: int = 64) -> Tensor:
    """Blobs, and on the right half of them squares that are others in every latent frame.

    [count, 3, frames, height, width] in [-0.5, 0.5].
    """
    torch.manual_seed(5)
    found = smooth_clips(count, frames, height, width)
    squares = 0.1 * torch.randn(count, 3, 1 + (frames - 1) // 4, height // 4, width // 8)
    squares = squares.repeat_interleave(4, 2).repeat_interleave(4, 3).repeat_interleave(4, 4)
    found[..., width // 2 :] += squares[:, :, -frames:]
    return found.clamp(-0.5, 0.5)


def levelled() -> SweetTok:
    """Three levels that began at what such clips leave over, in evaluation mode."""
    plain = small_network()
    torch.manual_seed(1)
    start_linear(plain, busy_clips(), polish_steps=20, polish_rows=64)
    detailed = grown(plain, word_prior(), levels=3)
    start_detail(detailed, busy_clips())
    return detailed.eval()


def save_levelled(folder: Path) -> None:
    """That network as a model."""
    save_model_folder(folder, levelled(), word_prior())
