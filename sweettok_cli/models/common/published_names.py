"""Tensor names of published checkpoints and ours, one to one; holds what the networks' tables share.

What published code stores but never uses is dropped by name, with the reason beside it; anything else that is
missing or left over is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Patterns = tuple[tuple[str, str], ...]

PATCH_EMBEDDING: Patterns = (
    (r"^encoder\.to_patch_emb_first_frame\.", "encoder.embed_first_frame."),
    (r"^encoder\.to_patch_emb\.", "encoder.embed_later_frames."),
    (r"^(encoder\.embed_\w+)\.1\.", r"\1.norm_in."),
    (r"^(encoder\.embed_\w+)\.2\.", r"\1.project."),
    (r"^(encoder\.embed_\w+)\.3\.", r"\1.norm_out."),
)

LAYERS: Patterns = (
    (r"\.layers\.(\d+)\.0\.", r".layers.\1.peg."),
    (r"\.layers\.(\d+)\.1\.", r".layers.\1.attention."),
    (r"\.layers\.(\d+)\.2\.", r".layers.\1.cross."),
    (r"\.layers\.(\d+)\.3\.0\.", r".layers.\1.ff.norm."),
    (r"\.layers\.(\d+)\.3\.1\.", r".layers.\1.ff.expand."),
    (r"\.layers\.(\d+)\.3\.4\.", r".layers.\1.ff.contract."),
)

UNUSED_IN_LAYERS: Patterns = (
    (r"\.beta$", "constant"),
    (r"\.relative_position_index$", "derived from the window size"),
    (r"\.spatial_rel_pos_bias\.", "built, never applied"),
    (r"\.layers\.\d+\.1\.context_norm\.", "self attention has no context"),
)


def pixel_decoder(published: str, ours: str) -> Patterns:
    """How OmniTokenizer's decoder is renamed where modules ``published`` and ``ours`` hold it."""
    return (
        (rf"^{published}\.dec_(spatial|temporal)_transformer\.", rf"{ours}.\1."),
        (rf"^{published}\.to_pixels_first_frame\.0\.", f"{ours}.to_pixels.first_frame."),
        (rf"^{published}\.to_pixels\.0\.", f"{ours}.to_pixels.later_frames."),
    )


@dataclass(frozen=True)
class NameTable:
    """One published network."""

    network: str  # what errors call it
    renamed: Patterns  # applied in order, which matters where one name is the beginning of another
    dropped: Patterns  # and for which reason

    def why_dropped(self, published: str) -> str | None:
        """Why the published network never uses a tensor, or None if it does."""
        return next((reason for pattern, reason in self.dropped if re.search(pattern, published)), None)

    def our_name(self, published: str) -> str | None:
        """Our name for a published tensor, or None if the published network never uses it."""
        if self.why_dropped(published) is not None:
            return None
        for pattern, replacement in self.renamed:
            published = re.sub(pattern, replacement, published)
        return published

    def counts(self, state: Collection[str]) -> dict[str, Any]:
        """What ``config.json`` says of a checkpoint: how many tensors were kept, how many dropped and why."""
        dropped = Counter(why for name in state if (why := self.why_dropped(name)) is not None)
        return {"tensors": len(state) - dropped.total(), "dropped": dict(dropped)}

    def convert(
        self,
        state: Mapping[str, Tensor],
        model: nn.Module,
        narrow: Callable[[str, Tensor], Tensor] = lambda _name, tensor: tensor,
    ) -> dict[str, Tensor]:
        """Published tensors under our names and in the shapes of ``model``; those of unknown name stay as is.

        ``narrow`` may cut a tensor, given with our name, to the part that is used. Raises ValueError if a
        tensor that is dropped as constant is not, or if a shape cannot be the same matrix.
        """
        shapes = {name: tensor.shape for name, tensor in model.state_dict(keep_vars=True).items()}
        converted = {}
        for published, tensor in state.items():
            if published.endswith(".beta") and tensor.count_nonzero():
                raise ValueError(f"{published} should be zero: not a published {self.network} network")
            name = self.our_name(published)
            if name is None:
                continue
            tensor = narrow(name, tensor)
            shape = shapes.get(name, tensor.shape)
            if tensor.shape != shape:
                # Published 1x1 convolutions are our linear layers; published singleton axes are dropped.
                if [n for n in tensor.shape if n != 1] != [n for n in shape if n != 1]:
                    raise ValueError(f"{published} is {list(tensor.shape)}, expected {list(shape)}")
                tensor = tensor.reshape(shape)
            converted[name] = tensor
        return converted

    def load(
        self, model: nn.Module, converted: Mapping[str, Tensor], elsewhere: Collection[str] = ()
    ) -> None:
        """Copy ``converted`` tensors into ``model``; names that end as one of ``elsewhere`` may be missing.

        A model laid out on the "meta" device takes the tensors themselves. Raises ValueError that names the
        tensors that are missing or unknown, ten of each and how many more.
        """
        on_meta = any(parameter.is_meta for parameter in model.parameters())
        result = model.load_state_dict(converted, strict=False, assign=on_meta)
        missing = [name for name in result.missing_keys if not name.endswith(tuple(elsewhere))]
        if problems := misfits(missing=missing, unknown=result.unexpected_keys):
            raise ValueError(f"not the published {self.network} network: {'; '.join(problems)}")


def misfits(**tensors: Collection[str]) -> list[str]:
    """``missing a, b``, ``unknown c``: the names of each kind, where there are any."""
    return [f"{kind} {listed(names)}" for kind, names in tensors.items() if names]


def listed(names: Collection[str], most: int = 10) -> str:
    """``a, b, c and 12 more``: the first names in order, and how many follow."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(name[:100] for name in sorted(names)[:most]) + more
