"""The metrics by name: those asked for are made, and those that cannot be had are named with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics import psnr
from sweettok_cli.metrics import ssim as structure
from sweettok_cli.metrics.frechet import FrechetRule
from sweettok_cli.metrics.metric import Metric, NotMeasured, SetMetric

if TYPE_CHECKING:
    import torch

    from sweettok_cli.metrics.lpips import Net
    from sweettok_cli.metrics.network_files import SearchPath

LPIPS: dict[str, Net] = {"lpips_vgg": "vgg", "lpips_alex": "alex"}

#: Set metrics that need a feature network, and which.
DISTANCES = {
    "rfvd": "StyleGAN-V's TorchScript I3D",
    "rfvd_400": "the I3D of i3d_pretrained_400.pt",
    "rfid": "Inception-2015",
}

CLIP_METRICS = (*psnr.DEFINITIONS, *structure.DEFINITIONS, *LPIPS)
SET_METRICS = (psnr.GlobalPsnr.name, *DISTANCES)
METRICS = (*CLIP_METRICS, *SET_METRICS)

QUICK = ("psnr", "ssim", "ms_ssim", "psnr_global")
"""Those that need no weights and are measured unless others are asked for."""


@dataclass
class Chosen:
    """What can be measured of what was asked for, and by name the reason why the others cannot."""

    metrics: list[Metric] = field(default_factory=list)
    set_metrics: list[SetMetric] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)


def choose(
    names: Iterable[str] = QUICK,
    *,
    search: SearchPath | None = None,
    device: torch.device | str = "cpu",
    rule: FrechetRule | None = None,
) -> Chosen:
    """Make the metrics of these names; weights are looked for now, so that nothing fails later.

    Args:
        names: among :data:`METRICS`.
        search: where to look for weights; by default on this machine, then on the network.
        device: for the networks.
        rule: how Fréchet distances are computed.

    Raises:
        SweettokError: a name is unknown.
    """
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in METRICS]:
        raise SweettokError(f"There is no metric {unknown[0]}; choose among {', '.join(METRICS)}.")
    chosen = Chosen()
    for known, kind in ((psnr.DEFINITIONS, psnr.Psnr), (structure.DEFINITIONS, structure.Structure)):
        if together := tuple(name for name in wanted if name in known):
            chosen.metrics.append(kind(together))
    if psnr.GlobalPsnr.name in wanted:
        chosen.set_metrics.append(psnr.GlobalPsnr())
    for name in wanted:
        try:
            if name in LPIPS:
                chosen.metrics.append(_lpips(name, search, device))
            elif name in DISTANCES:
                chosen.set_metrics.append(_distance(name, search, device, rule))
        except NotMeasured as reason:
            chosen.not_measured[name] = str(reason)
    return chosen


def _lpips(name: str, search: SearchPath | None, device: torch.device | str) -> Metric:
    from sweettok_cli.metrics.lpips import Lpips
    from sweettok_cli.metrics.network_files import SearchPath

    return Lpips(LPIPS[name], search or SearchPath(), device)


def _distance(
    name: str, search: SearchPath | None, device: torch.device | str, rule: FrechetRule | None
) -> SetMetric:
    from sweettok_cli.metrics import extractors
    from sweettok_cli.metrics.frechet import FeatureDistance
    from sweettok_cli.metrics.network_files import SearchPath

    kinds: dict[str, type[extractors.Extractor]] = {
        "rfvd": extractors.ScriptedI3D,
        "rfvd_400": extractors.PortedI3D,
        "rfid": extractors.Inception,
    }
    return FeatureDistance(name, kinds[name](search or SearchPath(), device), rule)
