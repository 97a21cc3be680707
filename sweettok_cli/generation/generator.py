"""A generator that is ready to draw: new videos of a class or of none, and what follows a beginning."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.generation.folder import GeneratorCard, find_generator, read_card, read_network
from sweettok_cli.generation.network import Generator
from sweettok_cli.generation.sampling import ClipSampler, Drawing
from sweettok_cli.generation.tokenizer import tokenizer_of
from sweettok_cli.generation.videos import check_alike
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.runtime import OnProgress, __version__, ignore_progress, pick_device
from sweettok_cli.sequences.order import ClipOrder
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.tokens.ragged import rows_in

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
    """

    label: str | None = None
    frames: int | None = None
    prompt: Tokens | None = None
    prompt_clips: int | None = None
    seed: int = 0
    drawing: Drawing = dataclasses.field(default_factory=Drawing)


@dataclasses.dataclass
class _Growing:
    """A video on its way: its clips so far, and its random numbers."""

    clips: list[np.ndarray]
    luck: np.random.Generator


def load_generator(run: str | Path, device: str = "auto") -> VideoGenerator:
    """Load a generator: the folder of a run of ``sweettok train``, or of the model in it.

    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        SweettokError: there is none, or it is damaged, or there is no such device.
    """
    return VideoGenerator(find_generator(str(run)), device)


class VideoGenerator:
    """A generator that draws.

    Args:
        folder: of a generator.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        SweettokError: the folder is missing or damaged, or there is no such device.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        card = read_card(folder)
        self._take(card, read_network(folder, card).to(pick_device(device)).eval())

    @classmethod
    def of(cls, card: GeneratorCard, network: Generator) -> Self:
        """One that is in memory: ``network`` in evaluation mode, on the device where it shall compute."""
        made = cls.__new__(cls)
        made._take(card, network)
        return made

    def _take(self, card: GeneratorCard, network: Generator) -> None:
        self.card, self.order, self.network = card, card.order, network

    def tokenizer(self, tokenizer: str | Path | None = None) -> Tokenizer:
        """The tokenizer whose tokens were learned, on the same device: what makes videos of those drawn.

        ``tokenizer`` is its name or folder, by default found by the name that the tokens had.

        Raises:
            SweettokError: it is not to be had, or has other weights.
        """
        return tokenizer_of(self.card.vocabulary, tokenizer, self.network.network.device)

    def generate(
        self, count: int, wish: Wish | None = None, batch: int = 8, on_progress: OnProgress = ignore_progress
    ) -> Iterator[Tokens]:
        """So many videos as tokens, ``batch`` of them at once; ``on_progress`` is told of clips.

        Without a ``wish``, they are of no class, a clip long, of seed 0.

        Raises:
            SweettokError: there is no such class, the prompt is of another tokenizer or size, or the
                generator has not learned what follows a clip.
        """
        wish = wish or Wish()
        given, begun = self._prompt(wish.prompt)
        given = given[: wish.prompt_clips]
        clip_frames = self.card.like.clip_frames
        frames = wish.frames or clip_frames * (len(given) + 1)
        clips = -(-frames // clip_frames)
        self._check(wish, len(given), clips)
        sampler = ClipSampler(self.network, self.order.clip, wish.drawing)
        done, total = 0, count * (clips - len(given))
        for first in range(0, count, batch):
            numbers = range(first, min(first + batch, count))
            growing = [_Growing(list(given), np.random.default_rng([wish.seed, n])) for n in numbers]
            for _ in range(len(given), clips):
                self._grow(growing, wish, sampler, begun)
                done += len(growing)
                on_progress(done, total)
            for video in growing:
                yield self.tokens(video.clips, frames)

    def _check(self, wish: Wish, given: int, clips: int) -> None:
        code, name = self.card.vocabulary, self.card.name
        if clips <= given:
            raise SweettokError(
                f"The prompt has {given} clips of {self.card.like.clip_frames} frames already; ask for more "
                f"than {given * self.card.like.clip_frames} frames, or give {option('prompt_clips', 1)}."
            )
        if clips > 1 and self.card.clips == 1:
            raise SweettokError(
                f"{name} has learned single clips, and not what follows one; ask for "
                f"{self.card.like.clip_frames} frames without a video to go on from, or train one with "
                f"frames={2 * self.card.like.clip_frames}."
            )
        if not self.card.classless and (wish.label is None or wish.drawing.guidance != 1):
            known = ", ".join(code.classes[:_NAMED]) + (", ..." if len(code.classes) > _NAMED else "")
            raise SweettokError(
                f"{name} has learned nothing without a class; name one ({known}) and leave the guidance at 1."
            )
        if wish.drawing.guidance != 1 and wish.label is None:
            raise SweettokError("Guidance is towards a class; name one, or leave the guidance at 1.")
        try:
            code.label(wish.label)
        except ValueError as error:
            raise SweettokError(f"{name} does not know that class: {error}; name another.") from error

    def _prompt(self, prompt: Tokens | None) -> tuple[list[np.ndarray], np.ndarray]:
        """The symbols of the whole clips to go on from, and those with which the next one begins."""
        nothing = np.zeros(0, np.int64)
        if prompt is None:
            return [], nothing
        meta, code, like = prompt.meta, self.card.vocabulary, self.card.like
        try:
            code.check(meta.family, meta.weights_sha256, meta.codebooks)
            if not meta.image:
                check_alike(meta, like, code)
            elif (meta.padded_width, meta.padded_height) != (like.padded_width, like.padded_height):
                raise TokenFault(
                    f"is of {meta.padded_width}x{meta.padded_height} pixels, not {like.padded_width}x"
                    f"{like.padded_height}",
                    "give a picture of that size",
                )
            elif meta.levels:
                raise TokenFault("is a picture with levels of detail", "encode it with --fixed")
        except TokenFault as fault:
            raise SweettokError(f"The prompt {meta.source} {fault.problem}; {fault.remedy}.") from fault
        if meta.image:
            first = ClipOrder(code, meta.shapes, {})
            return [], first.write({name: array[0] for name, array in prompt.arrays.items()})
        whole = meta.frames // meta.clip_frames  # the others are filled up by their last frame
        if not whole:
            raise SweettokError(
                f"The prompt {meta.source} has {meta.frames} frames, less than a clip of {meta.clip_frames}; "
                "give a longer one, or a picture."
            )
        return self.order.clips(prompt)[:whole], nothing

    def _grow(self, growing: list[_Growing], wish: Wish, sampler: ClipSampler, begun: np.ndarray) -> None:
        """Add a clip to each video."""
        code = self.card.vocabulary
        alike: dict[int, list[tuple[_Growing, np.ndarray]]] = {}
        for video in growing:
            before = self._before(video.clips)
            alike.setdefault(len(before), []).append((video, before))
        for some in alike.values():
            read = np.stack([before for _, before in some])
            read[:, 1] = code.label(wish.label)
            without = read.copy()
            without[:, 1] = code.label(None)
            started = begun if not some[0][0].clips else begun[:0]
            starts = np.tile(started, (len(some), 1))
            made = sampler.sample(read, starts, [video.luck for video, _ in some], without)
            for (video, _), clip in zip(some, made, strict=True):
                video.clips.append(clip)

    def _before(self, clips: list[np.ndarray]) -> np.ndarray:
        """What is read before the next clip: as many clips as were learned together, less one."""
        code = self.card.vocabulary
        kept = clips[max(0, len(clips) - self.card.clips + 1) :]
        parts = [np.array([code.special("begin"), code.special("any")])]
        for clip in kept:
            parts += [clip, np.array([code.special("clip")])]
        return np.concatenate(parts)

    def tokens(self, clips: list[np.ndarray], frames: int) -> Tokens:
        """The symbols of clips, int [n] each, as the tokens of one video of so many frames."""
        like = self.card.like
        arrays = self.order.joined([self.order.clip.read(clip) for clip in clips])
        meta = dataclasses.replace(like, frames=frames, writer=f"sweettok {__version__}")
        stored = {name: array.astype(meta.dtype(name)) for name, array in arrays.items()}
        return Tokens(stored, dataclasses.replace(meta, rows=rows_in(stored, meta.levels)))
