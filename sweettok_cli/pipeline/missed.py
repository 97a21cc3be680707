"""Budgets that were not come near, and what to say of them."""

from __future__ import annotations

from typing import Literal

from sweettok_cli.errors import option
from sweettok_cli.models.common.budget import Budget, spelt
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.layout import bits_in, token_cost, tokens_in
from sweettok_cli.tokens.meta import TokenMeta

#: Why a budget is missed: a model cannot go down to it, or up.
Limit = Literal["floor", "ceiling"]

#: What of a model ends there.
WHY: dict[Limit, str] = {"floor": "every spatial token is kept", "ceiling": "levels of detail end there"}

# Part of a number of bits by which it may be missed without a word, and decibels of a quality.
_NEAR = 0.1
_NEAR_DECIBELS = 1.0


def bits_limit(spent: float, allowed: float) -> Limit | None:
    """Which limit stands between the bits that were spent and those that a budget allows, if one does."""
    if spent > (1 + _NEAR) * allowed:
        return "floor"
    return "ceiling" if spent < (1 - _NEAR) * allowed else None


def quality_limit(worst: float, aim: float) -> Limit | None:
    """Likewise of decibels: of the clip that comes back worst, and those that every clip should reach."""
    if worst > aim + _NEAR_DECIBELS:
        return "floor"
    return "ceiling" if worst < aim - _NEAR_DECIBELS else None


def bits_allowed(meta: TokenMeta, tokens: float) -> float:
    """Bits that a budget of so many ``tokens`` has for a video."""
    dense = [(name, shape) for name, shape in meta.shapes.items() if ARRAYS[name].version == 1]
    bits = sum(bits_in(name, shape, meta.codebooks[name]) for name, shape in dense)
    count = sum(tokens_in(name, shape) for name, shape in dense)
    return meta.clips * Budget(tokens).bits(bits, count, meta.padded_width * meta.padded_height)


def warnings_of(source: str, meta: TokenMeta, worst: float | None, budget: Budget) -> list[str]:
    """What the two functions below say of a budget; ``worst`` if it is known."""
    said = [missed_budget(source, meta, budget)]
    if worst is not None:
        said.append(missed_quality(source, meta, worst, budget))
    return [each for each in said if each is not None]


def missed_budget(source: str, meta: TokenMeta, budget: Budget) -> str | None:
    """A sentence where the tokens of ``source`` cost a tenth more or less than the bits that were asked for.

    None where they do not, and where no number was given.
    """
    if budget.tokens is None or not meta.levels:
        return None
    allowed, spent = bits_allowed(meta, budget.tokens), token_cost(meta).bits
    limit = bits_limit(spent, allowed)
    if limit is None:
        return None
    asked = f"the {allowed:,.0f} that {option('tokens', spelt(budget.tokens))} asks for"
    than = "more than" if limit == "floor" else "less than"
    return f"{source} takes {spent:,.0f} bits, {than} {asked}: {WHY[limit]}."


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
    limit = quality_limit(worst, budget.psnr)
    if limit is None:
        return None
    known = f"{source} comes back at {worst:.1f} dB" + (" in its worst clip" if meta.clips > 1 else "")
    asked = f"the {option('quality', spelt(budget.psnr))} that was asked for"
    than = "more than" if limit == "floor" else "less than"
    return f"{known}, {than} {asked}: {WHY[limit]}."
