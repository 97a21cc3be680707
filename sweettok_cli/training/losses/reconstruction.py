"""Distances between pictures, pixel by pixel and by their spectra."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.training.recipe import Recipe

# SSIM of Wang et al. 2004 for values in [0, 1], over boxes of 8x8 pixels instead of a Gaussian: a training
# signal, not the reported metric.
_C1, _C2 = 0.01**2, 0.03**2
_BOX, _BOX_STRIDE = 8, 4


def reconstruction_losses(reconstruction: Tensor, video: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """Distances between pictures, weighted, in float32, by name; a weight of 0 leaves its term out.

    ``video`` is float [b, 3, t, h, w] in [-0.5, 0.5], and ``reconstruction`` the network's answer to it.
    """
    made, wanted = reconstruction.float(), video.float()
    terms: dict[str, Tensor] = {}
    if recipe.l1:
        terms["l1"] = recipe.l1 * F.l1_loss(made, wanted)
    if recipe.l2:
        terms["l2"] = recipe.l2 * F.mse_loss(made, wanted)
    if recipe.log_l2:
        of_frames = (made - wanted).square().mean(dim=(1, 3, 4))
        terms["log_l2"] = recipe.log_l2 * (of_frames + recipe.log_floor).log().mean()
    if recipe.ssim:
        terms["ssim"] = recipe.ssim * (1 - structural_similarity(made, wanted))
    if recipe.frequency:
        terms["frequency"] = recipe.frequency * spectral_error(made, wanted)
    return terms


def structural_similarity(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean SSIM over 8x8 boxes, frames and channels of two videos [b, 3, t, h, w] in [-0.5, 0.5]."""
    # The means are of values in [0, 1]; variances do not depend on the offset and are taken around grey,
    # which keeps E[x^2] - E[x]^2 exact enough in float32.
    x, y = (v.transpose(1, 2).flatten(0, 1) for v in (made, wanted))  # [b*t, 3, h, w]
    stacked = torch.cat([x, y, x * x + y * y, x * y], dim=1)  # [b*t, 12, h, w]
    mean_x, mean_y, squares, product = F.avg_pool2d(stacked, _BOX, _BOX_STRIDE).chunk(4, dim=1)
    covariance = product - mean_x * mean_y
    variances = squares - mean_x.square() - mean_y.square()
    mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
    return (luminance * (2 * covariance + _C2) / (variances + _C2)).mean()


def spectral_error(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean modulus of the orthonormal two-dimensional spectrum of the error of every frame."""
    # Guarded root: the modulus has no gradient at 0.
    spectrum = torch.fft.rfft2(made - wanted, norm="ortho")
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt().mean()


@torch.no_grad()
def mean_squared_error(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of the picture as it would be shown, clamped to [-0.5, 0.5]: a scalar tensor."""
    return F.mse_loss(made.detach().float().clamp(-0.5, 0.5), wanted.float())
