"""The published OmniTokenizer with made-up weights against golden indices, streams and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer
from sweettok_cli.models.omnitokenizer.published import load_published_omnitokenizer
from sweettok_cli.models.omnitokenizer.quantizer import Coded
from tests.published_files import continuous

from .rule import Case, case_folder, integers

CLOSE = 1e-3
NEAR_TIE = 1e-5
KINDS = ["image", "video"]


@dataclass
class Run:
    """One pass through the network: indices from pixels, pixels from the stored indices, inner streams."""

    latents: Tensor
    coded: Coded
    pixels: Tensor
    taps: dict[str, Tensor]


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(case_folder("omni"))


@pytest.fixture(scope="module")
def model(case: Case) -> OmniTokenizer:
    network = lay_out(lambda: OmniTokenizer(OmniConfig()))
    load_published_omnitokenizer(network, case.weights())
    return network.eval()


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, case: Case, model: OmniTokenizer) -> tuple[str, Run]:
    kind = request.param
    video = case.input_video(f"omni_{kind}")
    if kind == "image":
        video = video.unsqueeze(2)
    with torch.inference_mode(), tapped(model, kind) as taps:
        latents = model.latents(video)
        coded = model.codebook(latents)
        # Decoding starts from the stored indices, so that a near tie in the encoder cannot reach the pixels.
        pixels = model.decode(case.data[f"{kind}:indices"].long())
    return kind, Run(latents, coded, pixels, taps)


@contextmanager
def tapped(model: OmniTokenizer, kind: str) -> Iterator[dict[str, Tensor]]:
    """Collects what the golden taps saw, under their published names and in their published layout."""
    taps: dict[str, Tensor] = {}
    hooks = []

    def tap(module: nn.Module, name: str, layout: str) -> None:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            taps[f"tap:{kind}:{name}"] = rearrange(output, layout)

        hooks.append(module.register_forward_hook(keep))

    space, time = "b t h w d -> (b t) (h w) d", "b t h w d -> (b h w) t d"
    tap(model.encoder.embed_first_frame, "encoder.to_patch_emb_first_frame", "... -> ...")
    tap(model.encoder.embed_later_frames, "encoder.to_patch_emb", "... -> ...")
    tap(model.encoder.spatial, "encoder.enc_spatial_transformer", space)
    tap(model.encoder.temporal, "encoder.enc_temporal_transformer", time)
    tap(model.pre_vq, "pre_vq_conv", "b t h w c -> b c t h w")
    tap(model.post_vq, "post_vq_conv", "b t h w c -> b c t h w")
    tap(model.decoder.temporal, "decoder.dec_temporal_transformer", time)
    tap(model.decoder.spatial, "decoder.dec_spatial_transformer", space)
    try:
        yield taps
    finally:
        for hook in hooks:
            hook.remove()


def test_inner_streams(case: Case, run: tuple[str, Run]) -> None:
    kind, result = run
    golden = {name for name in case.manifest["outputs"] if name.startswith(f"tap:{kind}:")}
    assert golden == set(result.taps)
    for name in golden:
        assert case.error(name, result.taps[name]) < CLOSE, name


def test_every_index(case: Case, run: tuple[str, Run]) -> None:
    kind, result = run
    stored, gap = case.data[f"{kind}:indices"].long(), case.data[f"{kind}:gap"]
    assert result.coded.indices.shape == stored.shape
    assert not ((result.coded.indices != stored) & (gap > NEAR_TIE)).any()


def test_latents_are_unit_vectors(case: Case, run: tuple[str, Run]) -> None:
    kind, result = run
    assert torch.allclose(result.latents.norm(dim=-1), torch.ones(()), atol=1e-5)
    if f"{kind}:h" in case.manifest["outputs"]:
        assert case.error(f"{kind}:h", rearrange(result.latents, "b t h w c -> b c t h w")) < CLOSE


def test_commitment_loss(case: Case, run: tuple[str, Run]) -> None:
    kind, result = run
    golden = case.manifest["scalars"][f"{kind}:commitment_loss"]
    assert result.coded.loss.item() == pytest.approx(golden, abs=1e-6)


def test_pixels(case: Case, run: tuple[str, Run]) -> None:
    kind, result = run
    pixels = result.pixels[:, :, 0] if kind == "image" else result.pixels
    assert case.error(f"{kind}:recon", pixels) < CLOSE


@torch.inference_mode()
def test_another_size(case: Case, model: OmniTokenizer) -> None:
    """9 frames of 128x128; no margins are stored for its indices, so a near tie may turn one of them."""
    video = case.input_video("omni_small")
    encoded = rearrange(model.encoder(video), "b t h w d -> b d t h w")
    assert case.error("small:encoder", encoded) < CLOSE
    differs = model.encode(video) != case.data["small:indices"].long()
    assert differs.sum() <= 1


@pytest.mark.slow
@torch.inference_mode()
def test_clip_of_random_indices(case: Case, model: OmniTokenizer) -> None:
    indices = integers(case.salt, "omni_idx", 8192, case.manifest["inputs"]["omni_idx"]["shape"])
    assert case.error("video:recon_from_random_idx", model.decode(indices)) < CLOSE


@torch.inference_mode()
def test_the_continuous_form(case: Case, model: OmniTokenizer) -> None:
    """No golden tensors are of a VAE; but for its latents, which are written down, it is the same network.

    With the weights of VQ before the decoder as those of the means, these are what was tapped there.
    """
    state = continuous(case.weights(), case.salt)
    network = lay_out(lambda: OmniTokenizer(OmniConfig(regularizer="kl")))
    load_published_omnitokenizer(network, state)
    network.eval()
    image = case.input_video("omni_image").unsqueeze(2)
    found = network.encode(image)
    assert isinstance(found, GaussianLatents)
    assert case.error("tap:image:pre_vq_conv", found.mean) < CLOSE
    features = network.encoder(image)
    weight, bias = (state[f"pre_vq_conv.1.{name}"][8:] for name in ("weight", "bias"))
    logvar = rearrange(features @ weight.T + bias, "b t h w c -> b c t h w").clamp(-30, 20)
    assert torch.allclose(found.logvar, logvar, atol=1e-4)
    divergence = 0.5 * (found.mean**2 + logvar.exp() - 1 - logvar).sum()
    output = network(image)
    assert output.loss.item() == pytest.approx(divergence.item(), rel=1e-4)
    codes = model.codebook.codes(case.data["image:indices"].long())
    made = network.decode(rearrange(codes, "b t h w c -> b c t h w"))
    assert case.error("image:recon", made[:, :, 0]) < CLOSE
    assert torch.equal(output.reconstruction, network.decode(found.mean))
