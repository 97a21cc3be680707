"""What all tokenizers that run a network share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.tokens.layout import TokenizerSpec


class NetworkTokenizer(Tokenizer):
    """A network on a device.

    Weights and codes stay float32; a narrower ``dtype`` is used for the arithmetic in between (autocast).
    """

    def __init__(
        self,
        spec: TokenizerSpec,
        network: nn.Module,
        device: torch.device,
        dtype: torch.dtype,
        sample: int | None = None,
    ) -> None:
        """Move the network to the device and switch it to inference; ``sample`` is as for :meth:`drawn`."""
        self.spec, self.device, self.dtype = spec, device, dtype
        self.network = network.to(device).eval()
        self.batch_clips = 8 if device.type == "cuda" else 1
        self._sample = sample
        self._generator: torch.Generator | None = None
        self.redraw()

    def redraw(self) -> None:
        """As :meth:`Tokenizer.redraw`."""
        if self._sample is not None:
            self._generator = torch.Generator(self.device).manual_seed(self._sample)

    def drawn(self, found: GaussianLatents) -> dict[str, Tensor]:
        """Continuous latents as they are stored: their means or, with a seed, a draw from it.

        What a clip gets then depends on the clips that were encoded before it.
        """
        latents = found.mean if self._generator is None else found.sample(self._generator)
        return {"latents": latents.to(torch.float16)}

    def _network(self) -> str:
        count = sum(parameter.numel() for parameter in self.network.parameters())
        return f"{count / 1e6:.1f} M parameters in {str(self.dtype).removeprefix('torch.')}; "

    def autocast(self) -> torch.autocast:
        """The context in which the network is called."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)
