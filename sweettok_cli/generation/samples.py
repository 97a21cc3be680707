"""What a generator draws while it is trained: a few new videos, and one that goes on beside its truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from sweettok_cli.generation.folder import GeneratorCard
from sweettok_cli.generation.generator import VideoGenerator
from sweettok_cli.generation.network import Generator
from sweettok_cli.generation.tokenizer import tokenizer_of
from sweettok_cli.generation.videos import SymbolVideo
from sweettok_cli.generation.wish import Wish
from sweettok_cli.training.samples import write_sheet
from sweettok_cli.video.pixels import write_video

_NEW = 4  # videos
_WIDE = 192  # pixels that a panel of the video has at least
_CRF = 20


class DrawnSheet:
    """Draws videos with the same luck every time, so that sheets of a run can be compared.

    Args:
        card: of the generator.
        tokenizer: folder of the one whose tokens are learned.
        device: on which it decodes.
        held_out: videos that are not learned; the first of several clips is gone on from after its first.

    Raises:
        SweettokError: the tokenizer is damaged, or has other weights.
    """

    def __init__(
        self, card: GeneratorCard, tokenizer: Path, device: torch.device, held_out: Sequence[SymbolVideo]
    ) -> None:
        self._card, self._device = card, device
        self._tokenizer = tokenizer_of(card.vocabulary, tokenizer, device)
        longer = (video for video in held_out if len(video.clips) > 1)
        self._begun = next(longer, None) if card.clips > 1 else None

    def draw(self, weights: Generator, path: Path, step: int) -> list[Path]:
        """Draw them; returns the files that show them: ``path`` with .png and with .mp4.

        The sheet has a row of frames for each video: the first, the middle and the last of every clip. The
        video shows them side by side, in that order.
        """
        with torch.autocast(self._device.type, enabled=False):
            videos = list(self._videos(VideoGenerator.of(self._card, weights)))
        sheet, film = path.with_suffix(".png"), path.with_suffix(".mp4")
        sheet.parent.mkdir(parents=True, exist_ok=True)
        clip = self._card.like.clip_frames
        rows = []
        for caption, video in videos:
            begins = range(0, len(video), clip)
            shown = sorted(set(begins) | {t + clip // 2 for t in begins} | {t + clip - 1 for t in begins})
            rows.append((caption, np.concatenate([video[t] for t in shown], axis=1)))
        write_sheet(sheet, f"step {step}   first, middle and last frame of each clip", rows)
        write_video(
            film, _side_by_side([video for _, video in videos]), self._card.like.rate, crf=_CRF, force=True
        )
        return [sheet, film]

    def _videos(self, generator: VideoGenerator) -> Iterator[tuple[str, np.ndarray]]:
        """What they are called, and their frames, uint8 [t, h, w, 3]."""
        labels = self._card.vocabulary.classes[:_NEW] or (None,)
        for label in labels:
            for tokens in generator.generate(_NEW // len(labels), Wish(label)):
                yield label or "new", self._tokenizer.decode(tokens)
        if self._begun is None:
            return
        clip, name = self._card.like.clip_frames, Path(self._begun.name).stem
        label = self._begun.label if self._begun.label in self._card.vocabulary.classes else None
        truth = generator.tokens(list(self._begun.clips[:2]), 2 * clip)
        wish = Wish(label, frames=2 * clip, prompt=truth, prompt_clips=1)
        yield f"{name}, as it is", self._tokenizer.decode(truth)
        yield (
            f"{name}, gone on from after {clip} frames",
            self._tokenizer.decode(next(generator.generate(1, wish))),
        )


def _side_by_side(videos: Sequence[np.ndarray]) -> np.ndarray:
    """Videos of one size as one; those that end earlier keep their last frame."""
    longest = max(map(len, videos))
    lasting = [
        np.concatenate([video, np.repeat(video[-1:], longest - len(video), axis=0)]) for video in videos
    ]
    larger = max(1, -(-_WIDE // videos[0].shape[2]))
    return np.concatenate(lasting, axis=2).repeat(larger, axis=1).repeat(larger, axis=2)
