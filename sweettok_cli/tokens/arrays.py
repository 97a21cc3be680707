"""The arrays that a token file may hold.

================  ==========================================  =================================
family            arrays (leading axis: clips)                dtype
================  ==========================================  =================================
sweettok          ``spatial`` [clips, S, 3],                  uint16
                  ``temporal`` [clips, T, 3]
omnitokenizer     ``indices`` [clips, t, h, w]                uint16
omnitokenizer-vae ``latents`` [clips, c, t, h, w]             float16
vidtok-fsq        ``indices`` [clips, t, h, w]                uint16, uint32 past 65,536 codes
vidtok-vq         ``indices`` [clips, t, h, w]                the same
vidtok-kl         ``latents`` [clips, c, t, h, w]             float16
================  ==========================================  =================================

Columns of ``spatial`` and ``temporal`` are modifier, modifier, head: two adjectives and a noun, two adverbs
and a verb. S and T are 256 and 1024 at 256x256 and grow with the area; T is 0 for a single image.

That is version 1. Version 2 is of sweettok with levels. A position of ``temporal`` has one token or none;
each patch of a latent frame, t x h x w of them in a clip, has 0 to ``levels["detail"]`` tokens of what the
others leave over, one of the nouns of ``spatial`` each. How such tokens lie in rows is said in
:mod:`sweettok_cli.tokens.ragged`:

================  ==========================================  =================================
sweettok          ``spatial`` [clips, S, 3],                  uint16
                  ``temporal`` [rows, 3],
                  ``detail`` [rows, 1]
                  ``temporal_counts`` [clips, T],             uint8
                  ``detail_counts`` [clips, t, h, w]
================  ==========================================  =================================

t, h and w are 5, 32 and 32 at 17x256x256; t is 1 for a single image.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ArrayKind:
    """What an array holds, told by its name."""

    axes: int  # of one clip
    indices: bool = True  # of codebooks; else continuous latents
    columns: bool = False  # the last axis is a token, an index into each of its codebooks; else each index is
    least: int | None = (
        None  # tokens of a position at least, where levels may differ; None: it has one always
    )
    codebooks: str = ""  # the array whose codebooks name its tokens; its own by default
    beside: tuple[str, ...] = ()  # the arrays without which there is none
    version: int = 1  # of the file, from which on it may be there


#: The arrays that a token file may hold. A family whose tokens are laid out in these needs nothing here.
ARRAYS: dict[str, ArrayKind] = {
    "spatial": ArrayKind(2, columns=True, beside=("temporal",)),
    "temporal": ArrayKind(2, columns=True, least=0, beside=("spatial",)),
    "detail": ArrayKind(
        4, columns=True, least=0, codebooks="spatial", beside=("spatial", "temporal"), version=2
    ),
    "indices": ArrayKind(3),
    "latents": ArrayKind(4, indices=False),
}

#: Modifiers and heads of the two halves of the language codebook (SweetTok, section 3.3).
PARTS_OF_SPEECH = {"spatial": ("adjectives", "nouns"), "temporal": ("adverbs", "verbs")}


def parts_of_speech(array: str) -> tuple[str, str] | None:
    """The lists that modifiers and heads of an array's tokens are of; None where they are no words."""
    return PARTS_OF_SPEECH.get(ARRAYS[array].codebooks or array) if array in ARRAYS else None
