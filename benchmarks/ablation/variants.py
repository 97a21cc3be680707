"""The papers' open questions as variants of two small networks: the table of what is trained side by side.

A variant is a base with a few `--set` lines of its own. SweetTok's base is stage 2 from scratch, with the
words of a prior, as `sweettok train --stage 2 --prior PRIOR` starts it; VidTok's is `vidtok-small` with FSQ.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Base:
    """A network that others are compared with: a shipped recipe and what makes it small."""

    recipe: str
    lines: tuple[str, ...]
    pictures: tuple[str, ...] = ()  # lines that a first stage on pictures adds
    words: bool = False  # whether it takes those of --prior


@dataclass(frozen=True)
class Variant:
    """What is asked, and the lines that ask it."""

    base: str
    question: str
    lines: tuple[str, ...] = ()
    staged: bool = False  # half of the budget for stage 1, the other half for stage 2
    other_vectors: bool = False  # words with the vectors of --llm


_QUIET = (
    *("sample_every=0", "validate_every=0", "checkpoint_every=50", "keep_checkpoints=1", "hold_out=0"),
    *("precision=fp32", "workers=1", "prefetch=2", "log_every=10", "skip_unreadable=1"),
)

BASES = {
    "sweettok-small": Base(
        "sweettok-small-stage{stage}",
        (*_QUIET, "crop=[[64, 4, 1]]", "init_samples=128", "word_steps=50", "warmup=20", "lr=5e-4"),
        pictures=("crop=[[64, 16, 1]]",),
        words=True,
    ),
    # Crops of frames at their own size, as of the other base; nine frames last three seconds at 3 a second.
    "vidtok-small": Base(
        "vidtok-fsq-stage1",
        (
            *_QUIET,
            *("model.preset=vidtok-small", "frames=9", "crop=[[64, 4, 1]]", "resize=[]", "centre=false"),
            *("lr=1e-3", "final_lr=1e-4", "warmup=20", "perceptual=0", "adversarial=0", "ema=0.99"),
        ),
    ),
}


def _length(frames: int) -> tuple[str, str]:
    return f"frames={frames}", f"model.frames={frames}"


_SMALL, _VIDTOK = "sweettok-small", "vidtok-small"
VARIANTS = {
    "sweettok": Variant(_SMALL, "words, decoupled queries, the best pair, 17 frames, end to end"),
    "flattened": Variant(_SMALL, "one set of queries for space and time", ("model.queries=flattened",)),
    "random": Variant(_SMALL, "random vectors in the place of the words'", ("model.codebook=random",)),
    "learned": Variant(_SMALL, "codes that come from no vectors", ("model.codebook=learned",)),
    "no-graph": Variant(_SMALL, "words without their graph", ("model.graph=false",)),
    "vectors": Variant(_SMALL, "the same words with the vectors of --llm", other_vectors=True),
    "no-offsets": Variant(_SMALL, "words where their vectors put them", ("model.word_offsets=false",)),
    "free": Variant(_SMALL, "words that are not held near their neighbours", ("neighbours=0",)),
    "near-0.05": Variant(_SMALL, "words that are held nearer to them", ("neighbours=0.05",)),
    "near-0.2": Variant(_SMALL, "nearer still", ("neighbours=0.2",)),
    "near-1": Variant(_SMALL, "above all", ("neighbours=1",)),
    "two-nearest": Variant(_SMALL, "the nearest two modifiers", ("model.search=0",)),
    "differences": Variant(_SMALL, "motion as differences of frames", ("model.motion=differences",)),
    "staged": Variant(_SMALL, "half of the budget on pictures first", staged=True),
    "quarter": Variant(_SMALL, "a quarter of each list of words", ("model.words=0.25",)),
    "sixteenth": Variant(_SMALL, "a sixteenth of each list of words", ("model.words=0.0625",)),
    "9-frames": Variant(_SMALL, "clips of 9 frames", _length(9)),
    "33-frames": Variant(_SMALL, "clips of 33 frames", _length(33)),
    "65-frames": Variant(_SMALL, "clips of 65 frames", _length(65)),
    "muon": Variant(_SMALL, "Muon in place of AdamW for matrices", ("optimizer=muon",)),
    "decibels": Variant(_SMALL, "the logarithm of the error", ("log_l2=2e-3", "log_floor=2e-4", "l2=0.01")),
    "vidtok": Variant(_VIDTOK, "FSQ of 4 096 codes, learned mixing, 3 frames a second"),
    "vq": Variant(_VIDTOK, "a learned codebook of as many codes", ("model.regularizer=vq",)),
    "fixed-mixing": Variant(_VIDTOK, "shares of convolutions that stay", ("model.mixing=fixed",)),
    "8-fps": Variant(_VIDTOK, "8 frames a second", ("fps=8",)),
    "fsq-512": Variant(_VIDTOK, "FSQ of 512 codes", ("model.channels=3",)),
}


def base_of(name: str) -> str:
    """The variant that one is compared with: the first of its base."""
    return next(other for other, variant in VARIANTS.items() if variant.base == VARIANTS[name].base)
