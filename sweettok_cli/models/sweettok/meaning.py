"""What codes keep of the words' meaning: whether words that are near by vector have near codes.

A codebook of a few dimensions, trained on pixels alone, puts words anywhere. :meth:`Meaning.loss` draws each
code to those of the words nearest by vector and away from all others, as neighbour embeddings do (van der
Maaten and Hinton, 2008), in units of how far codes lie apart: it says who is near whom, not how near.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.models.sweettok.quantizer import Codebook, LanguageQuantizer

NEIGHBOURS = 10
# Squared distance at which one code still counts as near another, in that of an average tenth neighbour.
_REACH = 0.5
_ROWS = 512


@dataclass(frozen=True)
class Meaning:
    """For each word the words of its own list that are nearest by vector, nearest first.

    ``modifiers`` [m, k] and ``heads`` [n, k], int64, counted from 0 in each list.
    """

    modifiers: Tensor
    heads: Tensor

    @classmethod
    def of(cls, quantizer: LanguageQuantizer) -> Meaning:
        """That of a codebook's words, by the cosine of their vectors."""
        vectors = F.normalize(quantizer.vectors, dim=-1)
        lists = vectors.split([quantizer.modifiers, len(vectors) - quantizer.modifiers])
        return cls(*(nearest_others(words, NEIGHBOURS) for words in lists))

    def loss(self, codes: Codebook, rows: int = 256) -> Tensor:
        """How badly the codes of ``rows`` random words a list keep their neighbours, in nats; a scalar.

        The mean over both lists of the cross entropy with a word's neighbours, all equally likely.
        """
        pairs = (codes.modifiers, self.modifiers), (codes.heads, self.heads)
        return torch.stack([_cross_entropy(*pair, rows) for pair in pairs]).mean()


def nearest_others(words: Tensor, count: int) -> Tensor:
    """Ids [n, k] of the other rows of ``words`` [n, c] nearest to each by Euclidean distance, nearest first.

    k is ``count``, or less where there are fewer words.
    """
    found = []
    for start, part in zip(range(0, len(words), _ROWS), words.split(_ROWS), strict=True):
        distances = torch.cdist(part, words)
        distances[torch.arange(len(part)), torch.arange(start, start + len(part))] = torch.inf
        found.append(distances.topk(min(count, len(words) - 1), largest=False).indices)
    return torch.cat(found)


def _cross_entropy(codes: Tensor, neighbours: Tensor, rows: int) -> Tensor:
    """Of ``rows`` random codes of [n, c] with their ``neighbours`` [n, k]."""
    if not neighbours.shape[1]:
        return codes.new_zeros(())
    chosen = torch.randint(len(codes), (rows,), device=codes.device)
    distances = torch.cdist(codes[chosen], codes).square()
    itself = F.one_hot(chosen, len(codes)).bool()
    with torch.no_grad():
        far = distances.masked_fill(itself, torch.inf).topk(neighbours.shape[1], largest=False).values[:, -1]
        unit = _REACH * far.mean().clamp(min=1e-12)
    logits = (-distances / unit).masked_fill(itself, -torch.inf)
    return (logits.logsumexp(-1) - logits.gather(1, neighbours[chosen]).mean(-1)).mean()


def shared_neighbours(codes: Tensor, neighbours: Tensor) -> float:
    """Share of ``neighbours`` [n, k] that are among the k nearest others of ``codes`` [n, c], in [0, 1]."""
    found = nearest_others(codes, neighbours.shape[1])
    return (found.unsqueeze(2) == neighbours.unsqueeze(1)).any(-1).float().mean().item()
