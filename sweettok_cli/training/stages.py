"""The curriculum: what each stage trains, and on what.

Stage 1 pre-trains the spatial half on single pictures, stage 2 trains both halves on clips, stage 3 freezes
encoder and codebook and fine-tunes decoding on pixels (SweetTok, section 3.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum; what has a dotted name that ``frozen`` matches does not learn."""

    number: int
    name: str
    frozen: re.Pattern[str] | None
    with_quantizer: bool
    """Whether encoder and codebook learn, hence whether the quantizers' terms belong to the loss."""

    def is_frozen(self, name: str) -> bool:
        """Whether the parameter or module of this dotted name does not learn in this stage."""
        return self.frozen is not None and self.frozen.match(name) is not None

    def prepare(self, model: nn.Module) -> None:
        """Freeze what this stage does not train; once, before the optimizer is made."""
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not self.is_frozen(name))

    def set_mode(self, model: nn.Module) -> None:
        """Training mode for what learns, evaluation mode (no dropout) for what is frozen."""
        model.train()
        for name, module in model.named_modules():
            if name and self.is_frozen(name):
                module.eval()


# What only a clip of more than one frame passes through.
_MOTION = re.compile(
    r"(encoder|decoder)\.\w*(temporal|motion|later)|temporal_anchor|(pre_vq|quantize|post_vq)_temporal"
)
# What a token depends on. The spatial anchor belongs to it: motion may be what appearance leaves over.
_ENCODING = re.compile(r"(encoder|spatial_anchor|pre_vq_\w+|quantize_\w+)(\.|$)")

# Stage 2 of the published network runs its first half against proxy codes of a frozen tokenizer: a
# cross-entropy term for losses.training_losses, which then wants the proxy's ids beside the video.
STAGES = {
    1: Stage(1, "spatial half on pictures", _MOTION, with_quantizer=True),
    2: Stage(2, "both halves on clips", None, with_quantizer=True),
    3: Stage(3, "decoder on pixels", _ENCODING, with_quantizer=False),
}
