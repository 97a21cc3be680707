"""SweetTok behind the tokenizer interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, groupby, pairwise

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordPrior
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import USUAL, Budget, check_budget
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.network_tokenizer import NetworkTokenizer
from sweettok_cli.models.common.streams import ClipEncoder, EncoderStream, WaitingClips
from sweettok_cli.models.sweettok.banded import choose_bands, decode_bands, encode_bands
from sweettok_cli.models.sweettok.candidate import Candidate, Extent
from sweettok_cli.models.sweettok.network import Choice, SweetTok, TokenPair
from sweettok_cli.models.sweettok.rows import received, sent
from sweettok_cli.models.sweettok.spending import Spender
from sweettok_cli.runtime import close_holes
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.video.fit import Fit

#: Clips that are looked at together when tokens are shared out: six seconds of a usual video.
LOOK_AHEAD = 8
#: Some clips by their rows, how many they are, and what of the frames of each is the source's own.
_Group = tuple[Callable[[int, int], Tensor], int, Extent]


class SweetTokTokenizer(NetworkTokenizer):
    """A SweetTok network with its words."""

    network: SweetTok

    def __init__(
        self,
        spec: TokenizerSpec,
        network: SweetTok,
        words: WordPrior,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Move the network to the device, switch it to inference, and make its codebooks constants."""
        super().__init__(spec, network, device, dtype)
        network.freeze_codebook()
        self._words = {
            "spatial": (words.spatial.modifiers, words.spatial.heads),
            "temporal": (words.temporal.modifiers, words.temporal.heads),
        }

    def words(self) -> dict[str, tuple[list[str], list[str]]]:
        """The words behind the ids: ``{"spatial": (adjectives, nouns), "temporal": (adverbs, verbs)}``."""
        return self._words

    def code_vectors(self) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.code_vectors`; a word of detail lies where the first levels have it."""
        network = self.network
        space, time = network.quantize_spatial.codebook(), network.quantize_temporal.codebook()
        found = {"adjectives": space.modifiers, "nouns": space.heads}
        found |= {"adverbs": time.modifiers, "verbs": time.heads}
        if network.detail is not None:
            found["detail"] = torch.cat([levels[0].codes for levels in network.detail.kinds], dim=1)
        return {name: vectors.detach().float() for name, vectors in found.items()}

    def encoder(
        self,
        fit: Fit,
        *,
        image: bool = False,
        overlap: int = 0,
        batch_clips: int | None = None,
        budget: Budget = USUAL,
        look_ahead: int | None = None,
    ) -> EncoderStream:
        """As :meth:`Tokenizer.encoder`; with levels, some clips are looked at together, to share bits."""
        check_budget(budget, self.spec)
        if self.network.detail is None or budget.fixed:
            options = {"batch_clips": batch_clips, "look_ahead": look_ahead}
            return super().encoder(fit, image=image, overlap=overlap, budget=budget, **options)
        spender = Spender(self.network, budget)
        most = 1 if image or budget.psnr is not None else look_ahead or LOOK_AHEAD
        ahead = max(1, min(most, self.most_clips(fit)))
        length, overlap = (1, 0) if image else (self.spec.clip_frames, overlap)
        encode = partial(self._spend, spender)
        return ClipEncoder(encode, fit, length, overlap, ahead, worst=lambda: spender.worst)

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_batch`: with levels, as many bits in all as without them."""
        return self.encode_within(clips, USUAL)

    def encode_within(self, clips: Tensor, budget: Budget) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_within`."""
        if self.network.detail is None or budget.fixed:
            return self._encode_rows(partial(_rows_of, clips), *clips.shape[:4])._asdict()
        whole = Extent(*clips.shape[1:4])
        parts = clips.split(self._at_once(whole))
        groups = [(partial(_rows_of, part), len(part), whole) for part in parts]
        return self._spend_on(Spender(self.network, budget), groups, whole)

    def encode_waiting(self, clips: WaitingClips) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_waiting`: large frames are taken in bands; no levels."""
        rows = partial(self._rows, clips)
        return self._encode_rows(rows, *clips.shape)._asdict()

    def _rows(self, clips: WaitingClips, start: int, end: int) -> Tensor:
        return clips.rows(start, end, self.device)

    def _spend(self, spender: Spender, clips: WaitingClips) -> dict[str, Tensor]:
        # Each is looked at several times: how much of them is done is told when all are.
        padded, groups = Extent(*clips.shape[1:]), list[_Group]()
        most = self._at_once(padded)
        for own, alike in groupby(zip(clips.clips, clips.fits, strict=True), _own):
            pairs = list(alike)
            for start in range(0, len(pairs), most):
                part = pairs[start : start + most]
                waiting = WaitingClips([clip for clip, _ in part], [fit for _, fit in part])
                groups.append((partial(self._rows, waiting), len(part), own))
        return self._spend_on(spender, groups, padded)

    def _at_once(self, padded: Extent) -> int:
        """How many clips whose detail is chosen go through the network together, which then has no bands."""
        most, shape = self.batch_clips, (padded.frames, padded.height, padded.width)
        while most > 1 and choose_bands(self.network, most, *shape) is not None:
            most //= 2
        return most

    @torch.inference_mode()
    def _spend_on(self, spender: Spender, groups: Sequence[_Group], padded: Extent) -> dict[str, Tensor]:
        """Tokens of clips that go through the network group by group, of ``padded`` frames."""
        height, width = padded.height, padded.width
        candidates = []
        for rows, clips, own in groups:
            tokens = self._encode_rows(rows, clips, padded.frames, height, width)
            decode = partial(self._decoded, tokens, height, width)
            candidates.append(Candidate(tokens, padded, own, partial(_original, rows), decode))
        with self.autocast():
            choices = spender.spend(candidates)
        return sent([each.tokens for each in candidates], choices)

    def _decoded(self, tokens: TokenPair, height: int, width: int, choice: Choice) -> Iterator[Tensor]:
        return self._videos(*tokens, height, width, choice)

    @torch.inference_mode()
    def _encode_rows(
        self, rows: Callable[[int, int], Tensor], clips: int, frames: int, height: int, width: int
    ) -> TokenPair:
        with self.autocast():
            bands = choose_bands(self.network, clips, frames, height, width)
            if bands is None:
                return self.network.encode(to_video(rows(0, height)))
            patch = self.network.config.patch
            edges = pairwise(accumulate((patch * count for count in bands.rows), initial=0))
            videos = (to_video(rows(start, end)) for start, end in edges)
            return encode_bands(self.network, bands, videos, still=frames == 1)

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`Tokenizer.decode_batch`.

        Raises:
            SweettokError: the network ends before pixels, as the published first stage does.
        """
        return torch.cat(list(self.decode_bands(tokens, height, width)), dim=2)

    def decode_bands(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Iterator[Tensor]:
        """As :meth:`Tokenizer.decode_bands`; raises what :meth:`decode_batch` does."""
        if not self.network.config.pixels:
            raise SweettokError(
                f"{self.spec.name} is a first-stage network, which encodes and has no pixel decoder; "
                "decode with a model of a later stage."
            )
        pair, choice = received(tokens, self.network.config)
        videos = self._videos(*pair, height, width, choice)
        while True:
            with torch.inference_mode(), self.autocast():
                video = next(videos, None)
                if video is None:
                    return
                shown = [to_frames(video, truncate=self.truncate)]
                del video
            yield shown.pop()

    def _videos(
        self, spatial: Tensor, temporal: Tensor, height: int, width: int, choice: Choice | None
    ) -> Iterator[Tensor]:
        frames = self.network.config.frames if temporal.shape[1] else 1
        bands = choose_bands(self.network, len(spatial), frames, height, width)
        if bands is None:
            yield self.network.decode(spatial, temporal, height, width, choice=choice)
        else:
            for video in decode_bands(self.network, bands, spatial, temporal, frames, choice):
                yield video
                del video
                close_holes()


def _own(pair: tuple[Sequence[np.ndarray], Fit]) -> Extent:
    """What of a clip is the source's: the last frame is repeated to fill it, which is held once."""
    clip, fit = pair
    frames = 1 + next(place for place, frame in enumerate(clip) if frame is clip[-1])
    return Extent(frames, fit.height, fit.width)


def _rows_of(clips: Tensor, start: int, end: int) -> Tensor:
    return clips[:, :, start:end]


def _original(rows: Callable[[int, int], Tensor], start: int, end: int) -> Tensor:
    return to_video(rows(start, end))
