"""How many bits a video may take, of a model that can give clips more or fewer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.tokens.layout import TokenizerSpec

#: Qualities by name, as decibels of PSNR.
QUALITIES = {"low": 26.0, "medium": 30.0, "high": 34.0}
#: Pixels of a frame of which a budget's tokens are, whatever the size of the video's.
PIXELS = 256 * 256


@dataclass(frozen=True)
class Budget:
    """What encoding aims at: a number of bits, a quality, or the same tokens for all clips.

    Without any of these it is as many bits as the fixed layout takes. The bits that say how many tokens each
    position has are among them.

    Attributes:
        tokens: as many bits as so many tokens of three words take, in the fixed layout's mixture of spatial
            and temporal ones, for a clip of 256x256 pixels on average over the video, and as many more for
            larger frames; of an image, for each 256x256 of its pixels. None: no such number.
        psnr: decibels that every clip shall reach, with as few bits as that takes; None: no aim.
        fixed: one token for every position, none of detail: the published layout.
    """

    tokens: float | None = None
    psnr: float | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        for value in (self.tokens, self.psnr):
            if isinstance(value, bool) or not isinstance(value, Real | None):
                raise TypeError(
                    f"a budget's tokens and psnr are numbers, not {value!r}; read_budget takes words"
                )
        if (self.tokens is not None) + (self.psnr is not None) + self.fixed > 1:
            raise ValueError("a budget is a number of tokens, a quality, or fixed: give one of them")
        for value in (self.tokens, self.psnr):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"a budget is above 0, not {value}")

    def bits(self, usual: float, tokens: int, pixels: int) -> float:
        """Bits that a clip of so many pixels a frame may have; without a number of tokens, the usual ones.

        ``usual`` bits and ``tokens`` are those of the clip in the fixed layout.
        """
        return usual if self.tokens is None else usual / tokens * self.tokens * pixels / PIXELS

    def __str__(self) -> str:
        """In a token file's words, which :func:`read_budget` reads; empty where nothing was asked for."""
        if self.tokens is not None:
            return f"{spelt(self.tokens)} tokens"
        return "fixed" if self.fixed else "" if self.psnr is None else f"{spelt(self.psnr)} dB"


def spelt(value: float) -> str:
    """A number with all of its digits: what is asked for again is the same."""
    return repr(float(value)).removesuffix(".0")


#: As many bits as a model takes that has no choice.
USUAL = Budget()


def check_budget(budget: Budget, spec: TokenizerSpec) -> None:
    """Raise :class:`SweettokError` where a budget is given and all clips have the same number of tokens.

    Raises TypeError for what is no budget.
    """
    if not isinstance(budget, Budget):
        raise TypeError(f"a budget is a sweettok.Budget, such as Budget(tokens=640), not {budget!r}")
    if not (spec.levels or budget.fixed or budget == USUAL):
        given = option("quality" if budget.tokens is None else "tokens")
        raise SweettokError(
            f"{spec.name} gives every clip the same number of tokens; leave out {given}, or name a model "
            "with levels."
        )


def read_budget(text: str) -> Budget:
    """A budget in one word: a number of tokens, ``fixed``, low, medium, high, or decibels such as ``31dB``.

    Also as a :class:`Budget` spells itself: ``640 tokens``, ``31 dB``.

    Raises:
        ValueError: none of these.
    """
    if text == "fixed":
        return Budget(fixed=True)
    if text in QUALITIES:
        return Budget(psnr=QUALITIES[text])
    if text[-2:].lower() == "db":
        return Budget(psnr=decibels(text[:-2]))
    try:
        tokens = float(text.removesuffix(" tokens"))
    except ValueError:
        tokens = math.nan
    if not 1 <= tokens < math.inf:
        names = ", ".join(QUALITIES)
        raise ValueError(
            f"a budget is a number of tokens, fixed, {names}, or a PSNR such as 31dB, not {text!r}"
        )
    return Budget(tokens)


def decibels(name: str) -> float:
    """Decibels of a quality: low, medium, high, or a number of them, such as ``31`` or ``31dB``.

    Raises:
        ValueError: neither.
    """
    if name in QUALITIES:
        return QUALITIES[name]
    try:
        value = float(name[:-2] if name[-2:].lower() == "db" else name)
    except ValueError:
        value = math.nan
    if not 10 <= value <= 60:
        names = ", ".join(QUALITIES)
        raise ValueError(f"a quality is {names}, or a PSNR of 10 to 60 dB, not {name!r}")
    return value
