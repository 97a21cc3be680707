"""V-JEPA's two files as Meta's trainers write them, of a network that takes no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sweettok_cli.metrics.vjepa import AttentivePooler, VJepa, VJepaConfig

SMALL = VJepaConfig(width=32, depth=2, heads=4, frames=4, side=32)


def filled(network: nn.Module) -> Any:
    """The network with weights that are the same on every machine."""
    for place, (_, weight) in enumerate(sorted(network.named_parameters())):
        steps = torch.arange(weight.numel(), dtype=torch.float64)
        weight.data = (0.2 * torch.sin(0.7 * (place + 1) * steps + place)).float().reshape(weight.shape)
    return network.eval()


def save_vjepa(folder: Path, config: VJepaConfig = SMALL) -> tuple[VJepa, AttentivePooler]:
    """Write ``vith16.pth.tar`` and ``ssv2-probe.pth.tar``; the networks that are in them."""
    network, pooler = filled(VJepa(config)), filled(AttentivePooler(config))

    def named(state: dict[str, Tensor], before: str) -> dict[str, Tensor]:
        return {before + name: value for name, value in state.items()}

    encoder = named(network.state_dict(), "module.backbone.")
    other = {name: torch.zeros_like(value) for name, value in encoder.items()}
    beside = {"opt": {"state": {}, "param_groups": []}, "scaler": {"scale": 1.0}, "epoch": 300}
    torch.save({"encoder": other, "target_encoder": encoder, **beside}, folder / "vith16.pth.tar")
    classifier = named(pooler.state_dict(), "module.pooler.")
    classifier["module.linear.weight"] = torch.zeros(174, config.width)
    classifier["module.linear.bias"] = torch.zeros(174)
    torch.save({"classifier": classifier, **beside}, folder / "ssv2-probe.pth.tar")
    return network, pooler
