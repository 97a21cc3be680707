"""OmniTokenizer's decoder, which turns SweetTok's proxy codes into pixels, against golden tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sweettok_cli.models.config import SweetTokConfig
from sweettok_cli.models.pixel_decoder import ProxyPixels
from sweettok_cli.models.published_keys import our_name
from sweettok_cli.models.tiles import TileGrid

from .rule import Case, case_folder, integers

CLOSE = 1e-3


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(case_folder("omni"))


@pytest.fixture(scope="module")
def pixels(case: Case) -> ProxyPixels:
    """The decoder with the case's weights, which carry no ``pixel_`` in front of their names."""
    with torch.device("meta"):
        module = ProxyPixels(SweetTokConfig())
    names = {"decoder.": "", "codebook.": "", "post_vq_conv.": ""}
    state: dict[str, Tensor] = {}
    for start in names:
        for published, tensor in case.weights(start).items():
            name = our_name("pixel_" + published)
            if name is not None:
                state[name.removeprefix("proxy_pixels.")] = tensor
    module.load_state_dict(state, assign=True)
    return module.eval()


def decode(module: ProxyPixels, ids: Tensor) -> Tensor:
    """A single code is what a mixture with all its weight in one place gives."""
    logits = torch.full((*ids.shape, module.embeddings.shape[0]), -torch.inf)
    logits.scatter_(-1, ids[..., None], 0.0)
    with torch.inference_mode():
        return module(logits, TileGrid.whole(*ids.shape[-2:]))


def test_image(case: Case, pixels: ProxyPixels) -> None:
    recon = decode(pixels, case.data["image:indices"].long())
    assert case.error("image:recon", recon[:, :, 0]) < CLOSE


def test_clip(case: Case, pixels: ProxyPixels) -> None:
    ids = integers(case.salt, "omni_idx", 8192, case.manifest["inputs"]["omni_idx"]["shape"])
    assert case.error("video:recon_from_random_idx", decode(pixels, ids)) < CLOSE
