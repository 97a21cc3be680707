"""The networks of generators: which library model, how large; a recipe names one by its preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from sweettok_cli.models.common.settings import (
    OneOf,
    Real,
    Whole,
    check_settings,
    describe_settings,
    override_settings,
)

_PRESET = "preset"


@dataclass(frozen=True)
class GeneratorConfig:
    """An autoregressive transformer of the ``transformers`` library.

    ``llama`` has rotary places, so that sequences may be of any length, and reads and writes symbols with the
    same vectors; ``gpt2`` is the published network: learned places, an output of its own.
    """

    network: Annotated[str, OneOf(("llama", "gpt2"))] = "llama"
    layers: Annotated[int, Whole(1, 256)] = 6
    heads: Annotated[int, Whole(1, 256)] = 4
    width: Annotated[int, Whole(8, 16_384)] = 256
    inner: Annotated[int, Whole(8, 65_536)] = 704  # width between the two maps of a layer's second half
    places: Annotated[int, Whole(0, 1_000_000)] = 0  # symbols of a sequence at most, where they are learned
    dropout: Annotated[float, Real(0, 0.9)] = 0.0  # of attention; of gpt2 also of layers and embeddings

    def __post_init__(self) -> None:
        check_settings(self)
        if self.width % (2 * self.heads):
            raise ValueError(f"width = {self.width} is no even number for each of heads = {self.heads}")
        if (self.places > 0) != (self.network == "gpt2"):
            raise ValueError(f"places = {self.places} is for gpt2, which learns them, and for no other")


#: By the names that recipes give: ours, for two CPU cores, and that of SweetTok's generation (VideoGPT's code
#: by way of OmniTokenizer's): 24 layers, 16 heads, width 1536.
PRESETS = {
    "generator-small": GeneratorConfig(),
    "videogpt": GeneratorConfig("gpt2", layers=24, heads=16, width=1536, inner=6144, places=3848),
}


def make_config(table: Mapping[str, Any]) -> GeneratorConfig:
    """The network that a recipe's ``model`` table asks for.

    Raises:
        SweettokError: an unknown key, or values that do not fit together.
    """
    overrides = {key: value for key, value in table.items() if key != _PRESET}
    return override_settings(PRESETS[table[_PRESET]], overrides)


def describe_config(config: GeneratorConfig) -> dict[str, Any]:
    """A ``model`` table that asks for this network."""
    return describe_settings(config, PRESETS)


def is_generator(table: Mapping[str, Any]) -> bool:
    """Whether a recipe's ``model`` table asks for a generator."""
    preset = table.get(_PRESET)
    return isinstance(preset, str) and preset in PRESETS
