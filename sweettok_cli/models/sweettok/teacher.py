"""The proxy tokenizer of the published curriculum: a frozen OmniTokenizer (SweetTok, section 3.4).

Its codes are what the network learns to name first, its decoder is where the network's pixel decoder starts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file
from sweettok_cli.models.common.frames import to_video
from sweettok_cli.models.omnitokenizer.folder import read_network
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.storage.model_folder import WEIGHTS_FILE, read_folder

# Model folders keep weights in half precision; codes that are no further apart are the same.
_SAME = 2e-3


class Teacher:
    """A frozen OmniTokenizer.

    Raises:
        SweettokError: the folder holds another model, or is damaged.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder = folder
        network = read_folder(folder, read_network)
        if network.config.regularizer != "vq":
            raise SweettokError(
                f"{folder} holds a continuous OmniTokenizer, which has no codes to learn; give one that has."
            )
        self.network = network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def codes(self, video: Tensor) -> Tensor:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> indices [b, t', h', w'] int64, computed in float32."""
        with torch.autocast(video.device.type, enabled=False):
            return self.network.indices(video.float())

    def packed(self, codes: np.ndarray, video: Tensor) -> Tensor:
        """Indices [b, t', h', w'] of a video that were packed ahead, as :meth:`codes` gives them.

        Raises:
            SweettokError: they cannot be what this tokenizer gave it.
        """
        config = self.network.config
        (_, _, frames, height, width), grid = video.shape, config.patch_grid(*video.shape[-2:])
        wanted = len(video), 1 + (frames - 1) // config.temporal_patch, grid.height, grid.width
        if codes.shape != wanted or not 0 <= codes.min() <= codes.max() < config.codes:
            raise SweettokError(
                f"The codes packed beside samples of {frames}x{height}x{width} are {list(codes.shape)} up "
                f"to {codes.max()}, not {list(wanted)} below {config.codes}; pack them again."
            )
        return torch.from_numpy(codes).to(video.device, torch.int64)

    @torch.no_grad()
    def decode(self, indices: Tensor) -> Tensor:
        """Indices [b, t', h', w'] -> video [b, 3, t, h, w], nominally in [-0.5, 0.5]."""
        return self.network.decode(indices)

    def terms(
        self, logits: Tensor, video: Tensor, packed: np.ndarray | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Loss and measure of a step on proxy codes: the cross entropy with those of a ``video``, and hits.

        ``logits`` [b, t', h', w', codes] are the network's; ``packed`` codes came with the video, if any.
        """
        codes = self.codes(video) if packed is None else self.packed(packed, video)
        wanted, found = codes.flatten(), logits.float().flatten(0, -2)
        hits = (found.detach().argmax(-1) == wanted).float().mean()
        return {"proxy": F.cross_entropy(found, wanted)}, {"proxy_hits": hits}

    def check(self, config: SweetTokConfig, crops: list[int]) -> None:
        """Refuse a network that cannot learn from this tokenizer, or start from its decoder.

        ``crops`` are sides of samples in pixels.

        Raises:
            SweettokError: what differs is named.
        """
        own = self.network.config
        if not config.proxy_codes:
            raise SweettokError(
                "The network has no proxy codes to learn (model.proxy_codes = 0); leave out --teacher, or "
                "train the network compact."
            )
        wanted: dict[str, object] = {"proxy_codes": own.codes}
        shared = ["patch", "temporal_patch"]
        if config.pixels:
            shared += ["dim", "heads", "head_dim"]
            wanted |= {"proxy_dim": own.code_dim, "scrambled": True, "ff_multiple": 1}
            wanted |= {"pixel_spatial": own.decoder_spatial, "pixel_temporal": own.decoder_temporal}
            if "w" in own.decoder_spatial:
                shared.append("window")
        wanted |= {name: getattr(own, name) for name in shared}
        odd = [f"{name} = {v}" for name, v in wanted.items() if getattr(config, name) != v]
        if odd:
            raise SweettokError(
                f"The teacher {self.folder} does not fit the network: it needs model.{', model.'.join(odd)}; "
                "change the recipe, or give another --teacher."
            )
        for side in crops:
            try:
                own.patch_grid(side, side)
            except ValueError as error:
                raise SweettokError(
                    f"The teacher {self.folder} cannot take samples of crop = {side} ({error}); change crop."
                ) from error

    @torch.no_grad()
    def hand_over(self, network: SweetTok) -> bool:
        """Give a network that paints this tokenizer's codes and decoder, unless it has these codes already.

        Returns whether it had to.
        """
        proxy, own = network.proxy_pixels, self.network
        assert proxy is not None
        codes = own.codebook.embeddings
        if torch.allclose(proxy.embeddings.to(codes.device), codes, atol=_SAME):
            return False
        proxy.embeddings.copy_(codes)
        proxy.project.load_state_dict(own.post_vq.state_dict())
        proxy.decoder.load_state_dict(own.decoder.state_dict())
        return True


def encoder_of(
    folder: Path, device: torch.device, side: int, frames: int
) -> Callable[[np.ndarray], np.ndarray]:
    """What gives samples, uint8 RGB [t, h, w, 3] of one size, the codes that are packed beside them.

    Raises:
        SweettokError: the folder holds another model, or one that does not take samples of this size.
    """
    teacher, turn = Teacher(folder, device), Lock()

    def encode(sample: np.ndarray) -> np.ndarray:
        video = to_video(torch.from_numpy(sample[None]).to(device))
        with turn:
            return teacher.codes(video)[0].cpu().numpy()

    try:
        encode(np.zeros((frames, side, side, 3), np.uint8))
    except ValueError as error:
        raise SweettokError(
            f"{folder} cannot take samples of {frames} frames of {side}x{side} ({error}); change --sample."
        ) from error
    return encode


def weights_of(folder: Path) -> str:
    """SHA-256 of the weights of a tokenizer, by which the codes that it gave are known."""
    return sha256_file(folder / WEIGHTS_FILE)
