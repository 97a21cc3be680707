"""For the library's own ``generate``, and whoever serves by it: only what may come next has a chance.

The program itself draws with :mod:`sweettok_cli.generation.sampling`, which computes no other logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sweettok_cli.sequences.sequence import VideoOrder, Walk


class Grammar:
    """A logits processor of the library: ``network.generate(..., logits_processor=[Grammar(order)])``.

    Each row of a batch is followed from its first symbol on; rows must begin with ``begin`` (padding before
    it is passed over). Use one for one call of ``generate``.

    Args:
        order: of the symbols of videos.
        clips: that each video shall have; None leaves it to the network.
    """

    def __init__(self, order: VideoOrder, clips: int | None = None) -> None:
        self._order, self._clips = order, clips
        self._walks: list[Walk] = []
        self._read = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [b, symbols] with minus infinity for what may not follow ``input_ids`` [b, n].

        Raises:
            ValueError: a row is no beginning of a video, or rows have been changed for others.
        """
        rows: Sequence[list[int]] = input_ids[:, self._read :].tolist()
        if not self._walks:
            self._walks = [Walk(self._order, self._clips) for _ in rows]
        if len(rows) != len(self._walks) or len(rows[0]) != (1 if self._read else input_ids.shape[1]):
            raise ValueError("the rows are not those of before, one symbol longer; make a new Grammar")
        pad = self._order.vocabulary.special("pad")
        may = torch.zeros_like(scores, dtype=torch.bool)
        for number, (walk, row) in enumerate(zip(self._walks, rows, strict=True)):
            for symbol in row:
                if symbol != pad or walk.spot.head:
                    walk.push(symbol)
            for start, end in walk.next():
                may[number, start:end] = True
        self._read = input_ids.shape[1]
        return scores.masked_fill(~may, -torch.inf)
