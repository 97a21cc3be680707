"""The choices of a protocol in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LABELS = {
    "name": "name",
    "source": "whose it is",
    "published_on": "published on",
    "choice": "frames chosen",
    "frames": "number of frames",
    "fps": "frame rate",
    "fit": "size of video frames",
    "picture_fit": "size of still pictures",
    "rounding": "rounding to 8 bits",
    "window": "frames measured at once",
    "average": "mean over",
    "frechet": "Fréchet distance",
    "splits": "splits",
    "clips": "number of clips",
    "seed": "seed",
    "interval": "intervals",
}
"""Every choice that moves a figure; what a record holds beyond them is shown under its own name."""

COMPARED = (
    "choice",
    "frames",
    "fps",
    "fit",
    "picture_fit",
    "rounding",
    "window",
    "average",
    "frechet",
    "clips",
)

_NONE = {"frames": "all", "fps": "the video's own", "clips": "all"}
_ROUNDING = {"nearest": "to the nearest value", "down": "cut off"}


def rows(protocol: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and words of every choice."""
    hidden = ("differs_from_paper", "data")
    keys = [*(key for key in LABELS if key in protocol), *(k for k in protocol if k not in LABELS)]
    for key in keys:
        if key not in hidden and protocol[key] not in ("", {}, []):
            yield LABELS.get(key, key.replace("_", " ")), in_words(protocol[key], key)


def in_words(choice: Any, key: str = "") -> str:
    """One choice as text."""
    if choice is None:
        return _NONE.get(key, "none")
    if key == "rounding":
        return _ROUNDING.get(choice, choice)
    if isinstance(choice, Mapping):
        if "words" in choice:
            return str(choice["words"])
        if "side" in choice:
            return _fit(choice)
        return ", ".join(f"{name} {in_words(value)}" for name, value in choice.items())
    if isinstance(choice, list | tuple):
        return ", ".join(map(str, choice))
    return str(choice)


def _fit(fit: Mapping[str, Any]) -> str:
    if fit["kind"] == "none":
        return "their own"
    side = f"{fit['side']}\u00d7{fit['side']}"
    how = "squashed to" if fit["kind"] == "squash" else "shorter side resized, middle cut out:"
    return f"{how} {side}, {fit['filter']}"
