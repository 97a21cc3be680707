"""What all tokenizers that run a network share: where it lies and in which number format it computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.tokenizers.base import Tokenizer
from sweettok_cli.weights_store.folder import WRITE_AGAIN, ModelHeader


class NetworkTokenizer(Tokenizer):
    """A network on a device.

    Weights and codes stay float32; a narrower ``dtype`` is used for the arithmetic in between (autocast).
    """

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        """Move the network to the device and switch it to inference."""
        self.network = network.to(device).eval()
        self.device, self.dtype = device, dtype
        self.batch_clips = 8 if device.type == "cuda" else 1

    def autocast(self) -> torch.autocast:
        """The context in which the network is called."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def filled(network: nn.Module, header: ModelHeader, state: Mapping[str, Tensor]) -> nn.Module:
    """A network that was laid out on the "meta" device, with stored weights in float32.

    Raises:
        SweettokError: the weights do not fit the configuration.
    """
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise bad_fit(header.folder) from error
    return network


def bad_fit(folder: Path) -> SweettokError:
    """The error for weights and a configuration that do not belong together."""
    return SweettokError(f"The weights of {folder} do not fit its configuration; {WRITE_AGAIN}.")


def as_indices(ids: Tensor, codes: int) -> np.ndarray:
    """Indices as token files hold them: uint16, or uint32 for more than 65,536 codes."""
    return ids.cpu().numpy().astype(np.uint16 if codes <= 1 << 16 else np.uint32)
