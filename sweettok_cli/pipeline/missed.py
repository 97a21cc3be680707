"""Budgets that were not come near, and what to say of them."""

from __future__ import annotations

from sweettok_cli.errors import option
from sweettok_cli.models.common.budget import Budget, spelt
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.layout import bits_in, token_cost, tokens_in
from sweettok_cli.tokens.meta import TokenMeta

# Part of a number of bits by which it may be missed without a word, and decibels of a quality.
_NEAR = 0.1
_NEAR_DECIBELS = 1.0


def bits_allowed(meta: TokenMeta, tokens: float) -> float:
    """Bits that a budget of so many ``tokens`` has for a video."""
    dense = [(name, shape) for name, shape in meta.shapes.items() if ARRAYS[name].version == 1]
    bits = sum(bits_in(name, shape, meta.codebooks[name]) for name, shape in dense)
    count = sum(tokens_in(name, shape) for name, shape in dense)
    return meta.clips * Budget(tokens).bits(bits, count, meta.padded_width * meta.padded_height)


def missed_budget(source: str, meta: TokenMeta, budget: Budget) -> str | None:
    """A sentence where the tokens of ``source`` cost a tenth more or less than the bits that were asked for.

    None where they do not, and where no number was given.
    """
    if budget.tokens is None or not meta.levels:
        return None
    allowed, spent = bits_allowed(meta, budget.tokens), token_cost(meta).bits
    asked = f"the {allowed:,.0f} that {option('tokens', spelt(budget.tokens))} asks for"
    if spent > (1 + _NEAR) * allowed:
        return f"{source} takes {spent:,.0f} bits, more than {asked}: every spatial token is kept."
    if spent < (1 - _NEAR) * allowed:
        return f"{source} takes {spent:,.0f} bits, less than {asked}: levels of detail end there."
    return None


def missed_quality(source: str, meta: TokenMeta, worst: float, budget: Budget) -> str | None:
    """A sentence where what tokens of ``source`` give back is a decibel better or worse than was asked for.

    None where it is not, and where no quality was given.

    Args:
        source: what was encoded.
        meta: of its tokens.
        worst: decibels of the clip with most error, as decoded; every clip was to reach the quality.
        budget: what was asked for.
    """
    if budget.psnr is None or not meta.levels:
        return None
    known = f"{source} comes back at {worst:.1f} dB" + (" in its worst clip" if meta.clips > 1 else "")
    asked = f"the {option('quality', spelt(budget.psnr))} that was asked for"
    if worst > budget.psnr + _NEAR_DECIBELS:
        return f"{known}, more than {asked}: every spatial token is kept."
    if worst < budget.psnr - _NEAR_DECIBELS:
        return f"{known}, less than {asked}: levels of detail end there."
    return None
