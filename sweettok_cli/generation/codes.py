"""Where a tokenizer has its codes, as the beginning of the vectors of symbols."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sweettok_cli.generation.network import Generator
from sweettok_cli.sequences.vocabulary import Vocabulary

_SEED = 0  # of the random projections: a generator's beginning hangs on its recipe's seed elsewhere


@torch.no_grad()
def start_from_codes(generator: Generator, vocabulary: Vocabulary, codes: Mapping[str, Tensor]) -> None:
    """Give symbols whose codes lie near each other vectors that lie near each other.

    A code is met a few times in a small data set; what is learned of it serves its neighbours, too. The
    first half of a vector is a random rotation of the code, the other random Fourier features of it (Rahimi
    and Recht, 2007), whose products fall off with distance: codes that are but near can be told apart.

    Args:
        generator: whose input vectors (in a Llama, also its output's) are changed, in place.
        vocabulary: of its symbols.
        codes: by list (:meth:`~sweettok_cli.models.common.tokenizer.Tokenizer.code_vectors`); lists without
            any keep random vectors.
    """
    rows = generator.network.get_input_embeddings().weight
    assert isinstance(rows, Tensor)
    luck = torch.Generator().manual_seed(_SEED)
    for each in vocabulary.lists.values():
        if each.name in codes:
            part = rows[each.start : each.end]
            found = features(codes[each.name].cpu().float(), rows.shape[1], luck)
            rows[each.start : each.end] = (found * part.std()).to(rows)


def features(codes: Tensor, width: int, luck: torch.Generator) -> Tensor:
    """Codes [n, c] as vectors [n, width] of a spread of one."""
    codes = codes - codes.mean(0)
    codes = codes / codes.std().clamp(min=1e-12)
    c, linear = codes.shape[1], width // 2
    straight = codes @ torch.randn(c, linear, generator=luck) / c**0.5
    # Half of the waves are as long as the whole cloud, half a third of that.
    scales = torch.where(torch.arange(width - linear) % 2 == 0, 1.0, 3.0) / c**0.5
    waves = torch.randn(c, width - linear, generator=luck) * scales
    phases = 2 * torch.pi * torch.rand(width - linear, generator=luck)
    found = torch.cat([straight, (codes @ waves + phases).cos() * 2**0.5], dim=1)
    return found / found.std().clamp(min=1e-12)
