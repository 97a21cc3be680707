from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok


@pytest.fixture
def narrow() -> Callable[..., VidTok]:
    """Networks of any published shape, but few channels, and weights that leave no layer without effect.

    In float64: norms over so few channels blow up rounding errors, and tests are to tell these from others.
    """

    def make(name: str, **changes: object) -> VidTok:
        config = VidTokConfig.from_name(name)
        small = {"width": 4, "encoder_blocks": 1, "decoder_blocks": 1, **changes}
        model = VidTok(VidTokConfig(**{**vars(config), **small})).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in model.parameters():
                fan = parameter[0].numel() if parameter.dim() > 1 else 25
                torch.nn.init.normal_(parameter, 1.0 if parameter.dim() == 0 else 0.0, fan**-0.5)
            for key, parameter in model.named_parameters():
                if key.endswith("norm.weight"):
                    parameter.add_(1.0)
        return model.double()

    return make
