"""What is to be drawn, and whether a generator can: its weights are not needed to tell."""

from __future__ import annotations

import dataclasses

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.generation.folder import GeneratorCard
from sweettok_cli.generation.sampling import Drawing
from sweettok_cli.tokens.meta import Tokens

#: Of one video: all of them are held in memory, and its frames take one number each.
MOST_CLIPS = 10_000
_NAMED = 8  # classes, in a message


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be drawn.

    Attributes:
        label: class of the videos; None for none.
        frames: of each; one clip by default, or one more than the prompt has.
        prompt: tokens that they begin with: a video's whole clips, or a picture as the first frame.
        prompt_clips: how many of these clips, the first ones; None for all.
        seed: with the number of a video, of its random numbers: it is the same however many there are.
        drawing: how symbols are drawn.

    A value of a wrong type raises TypeError, and one that can never be ValueError.
    """

    label: str | None = None
    frames: int | None = None
    prompt: Tokens | None = None
    prompt_clips: int | None = None
    seed: int = 0
    drawing: Drawing = dataclasses.field(default_factory=Drawing)

    def __post_init__(self) -> None:
        for name, kind in (("label", str), ("prompt", Tokens), ("drawing", Drawing)):
            value = getattr(self, name)
            if not isinstance(value, kind) and (value is not None or name == "drawing"):
                raise TypeError(f"{name} = {brief(value)} is no {kind.__name__}")
        check_whole("seed", self.seed, 0)
        for name in ("frames", "prompt_clips"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        if self.prompt_clips is not None and self.prompt is None:
            raise ValueError(f"prompt_clips = {self.prompt_clips} is of a prompt, and there is none")

    def check(self, card: GeneratorCard) -> None:
        """Raise :class:`SweettokError` unless a generator has learned what this asks for beside a prompt."""
        code, name, clip = card.vocabulary, card.name, card.like.clip_frames
        known = ", ".join(code.classes[:_NAMED]) + (", ..." if len(code.classes) > _NAMED else "")
        if not card.classless and (self.label is None or self.drawing.guidance != 1):
            raise SweettokError(
                f"{name} has learned nothing without a class; name one ({known}) and leave the guidance at 1."
            )
        if self.drawing.guidance != 1 and self.label is None:
            raise SweettokError("Guidance is towards a class; name one, or leave the guidance at 1.")
        if self.label is not None and not code.classes:
            raise SweettokError(f"{name} has learned no classes; leave the class {self.label!r} out.")
        if self.label is not None and self.label not in code.classes:
            raise SweettokError(
                f"{name} does not know that class: there is no class {self.label!r}; there are {known}; name "
                "another."
            )
        if self.frames is not None and self.frames > MOST_CLIPS * clip:
            raise SweettokError(
                f"{self.frames} frames are more than the {MOST_CLIPS} clips of {clip} that a video may have; "
                f"ask for {MOST_CLIPS * clip} at most, and go on from its last clips with another."
            )
        if self.frames is not None and self.frames > clip:
            check_follows(card)


def check_follows(card: GeneratorCard) -> None:
    """Raise :class:`SweettokError` unless a generator has learned what follows a clip."""
    clip = card.like.clip_frames
    if card.clips == 1:
        raise SweettokError(
            f"{card.name} has learned single clips, and not what follows one; ask for {clip} frames without "
            f"a video to go on from, or train one with frames={2 * clip}."
        )


def check_whole(name: str, value: object, least: int) -> None:
    """Raise TypeError unless a value is a whole number, and ValueError unless it is ``least`` or more."""
    if type(value) is not int:
        raise TypeError(f"{name} = {brief(value)} is no whole number")
    if value < least:
        raise ValueError(f"{name} = {brief(value)} is less than {least}")
