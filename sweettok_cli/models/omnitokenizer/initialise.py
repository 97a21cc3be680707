"""What a stage of OmniTokenizer's training begins with: a new network, or what becomes of that before it."""

from __future__ import annotations

from dataclasses import replace

import torch
from einops import repeat
from torch import Tensor, nn

from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

_DEVIATION = 0.02


def start_small(network: OmniTokenizer) -> OmniTokenizer:
    """Draw the linear layers of a new encoder and decoder small, as the published first stage does."""
    for module in (*network.encoder.modules(), *network.decoder.modules()):
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=_DEVIATION)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


@torch.no_grad()
def spread_over_time(network: OmniTokenizer) -> OmniTokenizer:
    """Let the layers that only later frames pass begin as those of the first frame.

    Four frames that stand still are embedded, and painted, as a first frame would be. (The published code
    takes the same mean over time, but in another layout of the patches, so that colours are mixed up, and
    paints a fourth of it; neither outlasts its training.)
    """
    frames, encoder, pixels = network.config.temporal_patch, network.encoder, network.decoder.to_pixels
    first, later = (
        {name: value.detach() for name, value in layers.named_parameters()}
        for layers in (encoder.embed_first_frame, encoder.embed_later_frames)
    )
    for name in ("norm_in.weight", "norm_in.bias"):
        later[name].copy_(_each_frame(first[name], frames))
    later["project.weight"].copy_(_each_frame(first["project.weight"].T, frames).T / frames)
    for name in ("project.bias", "norm_out.weight", "norm_out.bias"):
        later[name].copy_(first[name])
    for name, value in pixels.first_frame.named_parameters():
        pixels.later_frames.get_parameter(name).copy_(_each_frame(value, frames))
    return network


def _each_frame(pixels: Tensor, frames: int) -> Tensor:
    """Values of the pixels of a patch [3 * pixels, ...] for as many frames: [3 * frames * pixels, ...]."""
    return repeat(pixels.unflatten(0, (3, -1)), "c p ... -> (c z p) ...", z=frames)


def as_continuous(network: OmniTokenizer) -> OmniTokenizer:
    """The network with latents in the place of its codes: what makes them is new, all else is kept."""
    made = OmniTokenizer(replace(network.config, regularizer="kl"))
    kept = {n: t for n, t in network.state_dict().items() if not n.startswith(("pre_vq.", "codebook."))}
    made.load_state_dict(kept, strict=False)
    return made
