"""Distances as networks that have seen many pictures feel them, of one frame of each sample, or of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.convnext import LogitDistance, load_convnext
from sweettok_cli.metrics.lpips import FILES, SMALLEST, Net, load_lpips
from sweettok_cli.metrics.metric import NotMeasured
from sweettok_cli.metrics.network_files import CONVNEXT_SMALL, SearchPath, ask_for, find, find_here
from sweettok_cli.training.recipe import Recipe

_LPIPS: dict[str, Net] = {"lpips-vgg": "vgg", "lpips-alex": "alex"}


class LpipsDistance(nn.Module):
    """Two batches of pictures [b, 3, h, w] in [0, 1] to the mean LPIPS between them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """A scalar."""
        return self.network(2 * first - 1, 2 * second - 1).mean()


def perceptual_distance(
    recipe: Recipe,
    device: torch.device,
    announce: Callable[[str], None] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> nn.Module | None:
    """What the recipe compares frames with; None if its files cannot be had and it says to train without.

    ``announce`` is told what is fetched, ``warn`` what is left out.

    Raises:
        SweettokError: they cannot be had and it says to stop, or samples are too small for the network.
    """
    search = SearchPath(_folder(recipe), announce=announce)
    try:
        distance = _load(recipe, search)
    except NotMeasured as error:
        why = _said(error)
        if recipe.without_features == "train":
            warn(f"training without the perceptual term: {why.rstrip('.')}")
            return None
        raise SweettokError(
            f"{why} Or train without the perceptual term: --set without_features=train."
        ) from error
    return distance.to(device).eval().requires_grad_(False)


def features_to_fetch(recipe: Recipe) -> list[str]:
    """What of the recipe's network is not on this machine, and will be fetched: a sentence a file.

    Raises:
        NotMeasured: something cannot be had; the words are those of :func:`perceptual_distance`.
    """
    net = _LPIPS.get(recipe.perceptual_network)
    files = (CONVNEXT_SMALL,) if net is None else FILES[net]
    try:
        return [ask_for(file) for file in files if find_here(file, _folder(recipe)) is None]
    except NotMeasured as error:
        raise NotMeasured(_said(error)) from error


def _folder(recipe: Recipe) -> Path | None:
    return Path(recipe.features) if recipe.features else None


def _said(error: NotMeasured) -> str:
    return str(error).replace("--features", "--set features=")


def _load(recipe: Recipe, search: SearchPath) -> nn.Module:
    net = _LPIPS.get(recipe.perceptual_network)
    if net is None:
        return LogitDistance(load_convnext(find(CONVNEXT_SMALL, search)))
    smallest = min(side for side, _, _ in recipe.crop)
    if smallest < SMALLEST[net]:
        raise SweettokError(
            f"{recipe.perceptual_network} needs samples of at least {SMALLEST[net]} pixels, and crop has "
            f"some of {smallest:g}; set a larger crop, or perceptual=0."
        )
    backbone, heads = (find(file, search) for file in FILES[net])
    return LpipsDistance(load_lpips(net, backbone, heads))


def perceptual_loss(distance: nn.Module, made: Tensor, wanted: Tensor, every: bool = False) -> Tensor:
    """The distance of one random frame of each of two videos [b, 3, t, h, w] in [-0.5, 0.5], in float32.

    Or the mean distance of ``every`` frame, none of them clamped, as VidTok has it.
    """
    with torch.autocast(made.device.type, enabled=False):
        if every:
            return distance(*(v.float().transpose(1, 2).flatten(0, 1) + 0.5 for v in (made, wanted)))
        frames = torch.randint(made.shape[2], (len(made),)).to(made.device)
        rows = torch.arange(len(made), device=made.device)
        one, two = ((v.float()[rows, :, frames] + 0.5).clamp(0, 1) for v in (made, wanted))
        return distance(one, two)
