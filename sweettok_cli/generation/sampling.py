"""Symbols drawn one after the other, each of those that may come next; what is read once stays in a cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.errors import brief
from sweettok_cli.generation.network import Generator, library
from sweettok_cli.sequences.order import ClipOrder, Place, Range

_BEGUN = 512  # symbols for which there is room at first, where clips differ in length


@dataclass(frozen=True)
class Drawing:
    """How symbols are drawn.

    Attributes:
        temperature: logits are divided by it; 0 takes the likeliest symbol always.
        top_k: only so many of the likeliest are drawn from; 0: all.
        top_p: only the likeliest that have so much probability together; 1: all.
        guidance: factor on what the class adds to the logits without it (classifier-free guidance, Ho and
            Salimans, arXiv 2207.12598, as for logits of tokens); 1 is no guidance.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 1.0

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "guidance"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} = {brief(value)} is no number")
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} = {brief(value)} is no number of 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p = {brief(self.top_p)} is no probability above 0")
        if type(self.top_k) is not int:
            raise TypeError(f"top_k = {brief(self.top_k)} is no whole number")
        if self.top_k < 0:
            raise ValueError(f"top_k = {brief(self.top_k)} is less than 0")

    def draw(self, logits: Tensor, luck: Tensor) -> Tensor:
        """One place of each row of logits [m, k], by numbers of [0, 1) for each row, [m]: int64 [m]."""
        if not self.temperature:
            return logits.argmax(dim=1)
        wide = logits.double()  # seen from the largest, whatever they are divided by
        chances = ((wide - wide.amax(dim=1, keepdim=True)) / self.temperature).softmax(dim=1)
        if 0 < self.top_k < chances.shape[1]:
            least = chances.topk(self.top_k, dim=1).values[:, -1:]
            chances = chances.masked_fill(chances < least, 0)
        if self.top_p < 1:
            ordered = chances.sort(dim=1, descending=True)
            before = ordered.values.cumsum(dim=1) - ordered.values
            kept = before < self.top_p * chances.sum(dim=1, keepdim=True)
            chances = torch.zeros_like(chances).scatter(1, ordered.indices, ordered.values * kept)
        heights = chances.cumsum(dim=1)
        found = torch.searchsorted(heights, luck[:, None] * heights[:, -1:], right=True)[:, 0]
        # Rounding may lead past the last one that has a chance.
        last = chances.shape[1] - 1 - (chances > 0).flip(1).int().argmax(dim=1)
        return torch.minimum(found, last)


class ClipSampler:
    """Draws clips, several at once.

    Args:
        generator: in evaluation mode, on the device where it shall compute.
        order: of a clip's symbols.
        drawing: how symbols are drawn.
    """

    def __init__(self, generator: Generator, order: ClipOrder, drawing: Drawing) -> None:
        self._generator, self._order, self._drawing = generator, order, drawing
        self._weight = generator.network.get_output_embeddings().weight
        self._device = self._weight.device

    @torch.inference_mode()
    def sample(
        self,
        before: np.ndarray,
        begun: np.ndarray,
        luck: Sequence[np.random.Generator],
        without: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """One clip for each of ``b`` sequences.

        Args:
            before: int64 [b, n], all that comes before the clip.
            begun: int64 [b, k], symbols with which the clip begins; there may be none.
            luck: random numbers for each of them.
            without: ``before`` as it would be of no class, for guidance; it reads along.

        Returns:
            int64 [length] each, the whole clip.
        """
        count = len(before)
        read = np.concatenate([before, begun], axis=1)
        guided = without is not None and self._drawing.guidance != 1
        if guided:
            read = np.concatenate([read, np.concatenate([without, begun], axis=1)])
        places: list[Place | None] = [self._started(row) for row in begun]
        written = [row.tolist() for row in begun]
        room = before.shape[1] + (self._order.length or max(begun.shape[1], _BEGUN))
        cache, known = self._cache(room), read
        pad = self._generator.network.config.pad_token_id
        while any(place is not None for place in places):
            if known.shape[1] > room:  # of clips that differ in length: read all again, with twice the room
                room *= 2
                cache, read = self._cache(room), known
            given = torch.from_numpy(read).to(self._device)
            found = self._generator.hidden(given, past_key_values=cache, use_cache=True)
            hidden = found.last_hidden_state[:, -1].float()
            following = np.full(count, pad, np.int64)
            for rows, ways in self._alike(places):
                logits = self._logits(hidden, rows, ways, count if guided else 0)
                chance = torch.tensor([luck[row].random() for row in rows], dtype=torch.float64)
                drawn = self._drawing.draw(logits, chance.to(self._device)).cpu().numpy()
                following[rows] = _numbers(ways)[drawn]
            for row, place in enumerate(places):
                if place is not None:
                    symbol = int(following[row])
                    written[row].append(symbol)
                    places[row] = self._order.after(place, symbol)
            read = np.tile(following, 2 if guided else 1)[:, None]
            known = np.concatenate([known, read], axis=1)
        return [np.array(row, np.int64) for row in written]

    def _started(self, symbols: np.ndarray) -> Place:
        """The place behind the symbols with which a clip begins."""
        place: Place | None = self._order.begin
        for symbol in symbols.tolist():
            assert place is not None
            place = self._order.after(place, symbol)
        assert place is not None
        return place

    def _cache(self, symbols: int) -> Any:
        """Where keys and values of so many symbols are kept; a step costs as much however many there are."""
        return library().StaticCache(config=self._generator.network.config, max_cache_len=symbols)

    def _alike(self, places: Sequence[Place | None]) -> list[tuple[list[int], list[Range]]]:
        """Sequences by what may come next in them, of those that are not over."""
        found: dict[tuple[Range, ...], list[int]] = {}
        ways: dict[Place, tuple[Range, ...]] = {}
        for row, place in enumerate(places):
            if place is not None:
                if place not in ways:
                    ways[place] = tuple(self._order.next(place))
                found.setdefault(ways[place], []).append(row)
        return [(rows, list(each)) for each, rows in found.items()]

    def _logits(self, hidden: Tensor, rows: list[int], ways: list[Range], beside: int) -> Tensor:
        """Of what may come next, [rows, k]; guided if those of no class lie ``beside`` rows further."""
        parts = [self._weight[start:end].float() for start, end in ways]
        weight = parts[0] if len(parts) == 1 else torch.cat(parts)
        logits = hidden[rows] @ weight.T
        if not beside:
            return logits
        without = hidden[[beside + row for row in rows]] @ weight.T
        return without + self._drawing.guidance * (logits - without)


def _numbers(ways: Sequence[Range]) -> np.ndarray:
    """The symbols of some ranges."""
    return np.concatenate([np.arange(start, end) for start, end in ways])
