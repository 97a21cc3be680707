"""A generator that is ready to draw: new videos of a class or of none, and what follows a beginning."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.generation.folder import GeneratorCard, find_generator, read_card, read_network
from sweettok_cli.generation.network import Generator
from sweettok_cli.generation.prompt import Beginning
from sweettok_cli.generation.sampling import ClipSampler
from sweettok_cli.generation.tokenizer import tokenizer_of
from sweettok_cli.generation.wish import Wish, check_follows, check_whole
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.runtime import OnProgress, __version__, ignore_progress, pick_device
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.tokens.ragged import rows_in


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
        card: what its folder says, if that has been read.

    Raises:
        SweettokError: the folder is missing or damaged, or there is no such device.
    """

    def __init__(self, folder: Path, device: str = "auto", card: GeneratorCard | None = None) -> None:
        card = card or read_card(folder)
        self._take(card, read_network(folder, card).to(pick_device(device)).eval())

    @classmethod
    def of(cls, card: GeneratorCard, network: Generator) -> Self:
        """One that is in memory: ``network`` in evaluation mode, on the device where it shall compute."""
        made = cls.__new__(cls)
        made._take(card, network)
        return made

    def _take(self, card: GeneratorCard, network: Generator) -> None:
        self.card, self.order, self.network = card, card.order, network

    def __repr__(self) -> str:
        """What it is: its network, what it has learned, and where it runs."""
        card = self.card
        like, config, classes = card.like, card.config, len(card.vocabulary.classes)
        facts = (
            f"{config.network} of {config.layers} layers, width {config.width}",
            f"up to {card.clips} clips of {like.clip_frames} frames of {like.width}x{like.height} together",
            f"{'levels of detail, ' if like.levels else ''}tokens of {like.model}",
            f"{classes} classes" if classes else "no classes",
            f"on {self.network.network.device}",
        )
        return f"{type(self).__name__}({card.name!r}: {'; '.join(facts)})"

    def tokenizer(self, tokenizer: str | Path | None = None) -> Tokenizer:
        """The tokenizer whose tokens were learned, on the same device: what makes videos of those drawn.

        ``tokenizer`` is its name or folder, by default found by the name that the tokens had.

        Raises:
            SweettokError: it is not to be had, or has other weights.
        """
        return tokenizer_of(self.card.vocabulary, tokenizer, self.network.network.device)

    def generate(
        self,
        count: int,
        wish: Wish | None = None,
        batch: int = 8,
        on_progress: OnProgress = ignore_progress,
        passed_over: Container[int] = (),
    ) -> Iterator[Tokens]:
        """So many videos as tokens, ``batch`` of them at once; ``on_progress`` is told of clips.

        Without a ``wish``, they are of no class, a clip long, of seed 0. They are numbered from 0; those
        whose numbers are in ``passed_over`` are not drawn, which changes nothing in the others. What follows
        a video has its frame rate, and other videos that of most from which the generator has learned.

        Raises:
            SweettokError: there is no such class, the prompt is of another tokenizer or size, or the
                generator has not learned what follows a clip.
            ValueError: ``count`` or ``batch`` is less than 1.
            TypeError: one of them is no whole number.
        """
        check_whole("count", count, 1)
        check_whole("batch", batch, 1)
        wish = wish or Wish()
        begun = Beginning.of(wish.prompt, self.card, wish.prompt_clips)
        given, clip_frames = len(begun.clips), self.card.like.clip_frames
        frames = wish.frames or clip_frames * (given + 1)
        wish.check(self.card)
        if frames <= given * clip_frames:
            raise SweettokError(
                f"The prompt has {given} clips of {clip_frames} frames already; ask for more than "
                f"{given * clip_frames} frames, or give {option('prompt_clips', 1)}."
            )
        if given:
            check_follows(self.card)
        numbers = [number for number in range(count) if number not in passed_over]
        return self._drawn(numbers, wish, begun, frames, batch, on_progress)

    def _drawn(
        self,
        numbers: Sequence[int],
        wish: Wish,
        begun: Beginning,
        frames: int,
        batch: int,
        on_progress: OnProgress,
    ) -> Iterator[Tokens]:
        given, clips = len(begun.clips), -(-frames // self.card.like.clip_frames)
        sampler = ClipSampler(self.network, self.order.clip, wish.drawing)
        rate = wish.prompt.meta.rate if wish.prompt is not None and given else None
        done, total = 0, len(numbers) * (clips - given)
        for first in range(0, len(numbers), batch):
            some = numbers[first : first + batch]
            growing = [_Growing(list(begun.clips), np.random.default_rng([wish.seed, n])) for n in some]
            for _ in range(given, clips):
                self._grow(growing, wish, sampler, begun.first)
                done += len(growing)
                on_progress(done, total)
            for video in growing:
                yield self.tokens(video.clips, frames, rate)

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

    def tokens(self, clips: list[np.ndarray], frames: int, rate: Fraction | None = None) -> Tokens:
        """The symbols of clips, int [n] each, as the tokens of one video of so many frames.

        ``rate`` is in frames a second; by default that of most videos from which the generator has learned.
        """
        like = self.card.like
        arrays = self.order.joined([self.order.clip.read(clip) for clip in clips])
        meta = dataclasses.replace(
            like, frames=frames, rate=rate or like.rate, writer=f"sweettok {__version__}"
        )
        stored = {name: array.astype(meta.dtype(name)) for name, array in arrays.items()}
        return Tokens(stored, dataclasses.replace(meta, rows=rows_in(stored, meta.levels)))
