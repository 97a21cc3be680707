"""How a generator trains: the likelihood of token files, symbol by symbol."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.codes import start_from_codes
from sweettok_cli.generation.config import describe_config, make_config
from sweettok_cli.generation.folder import (
    GeneratorCard,
    make_tokenizer,
    read_card,
    read_network,
    read_tokenizer,
    write_generator,
)
from sweettok_cli.generation.network import UNLEARNED, Generator, build_network
from sweettok_cli.generation.samples import DrawnSheet
from sweettok_cli.generation.tokenizer import at_hand, tokenizer_of
from sweettok_cli.generation.videos import SymbolVideo, SymbolVideos, read_videos
from sweettok_cli.generation.windows import WindowBatch, Windows, WindowSource
from sweettok_cli.generation.words import start_from_words
from sweettok_cli.tokens.arrays import parts_of_speech
from sweettok_cli.training.folder import replaced
from sweettok_cli.training.log import Voice
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.task import Kind, Step, Task
from sweettok_cli.words.counts import read_word_lists
from sweettok_cli.zoo.local import find_named

if TYPE_CHECKING:
    pass

#: Keys of a recipe that mean something here; any other has to be as it is by default.
KEYS = {
    *("model", "seed", "steps", "minutes", "frames", "crop", "batch_size", "workers", "loader", "prefetch"),
    *("optimizer", "lr", "lr_factors", "final_lr", "warmup", "betas", "eps", "weight_decay", "clip_norm"),
    *("accumulate", "ema", "precision", "compile", "gradient_checkpointing"),
    *("classes", "label_dropout", "label_smoothing", "words_from"),
    *("log_every", "sample_every", "checkpoint_every", "keep_checkpoints", "validate_every"),
    *("validate_clips", "tracker"),
}
_NATS = math.log(2)  # of a bit


class GeneratorTask(Task):
    """Likelihood of the next symbol among those that may stand there.

    Args:
        recipe: the network (``model.preset`` and its overrides; with ``init`` the folder says it), ``crop``
            (side of the videos in pixels, windows a batch), ``frames`` of a window, ``classes``.
        init: a generator's folder to start from.
        words: a model folder with the words behind the codes; by default the one that the tokens name.
        teacher: not for these.
    """

    model: Generator
    device: torch.device
    title = "an autoregressive transformer on tokens"

    def __init__(
        self,
        recipe: Recipe,
        init: Path | None = None,
        words: Path | None = None,
        teacher: Path | None = None,
    ) -> None:
        usual = Recipe()
        for key in (field.name for field in dataclasses.fields(Recipe)):
            if key not in KEYS and (value := getattr(recipe, key)) != getattr(usual, key):
                raise SweettokError(f"{key} = {value} means nothing for a generator; leave it out.")
        if teacher is not None:
            raise SweettokError("A generator learns from token files; leave out the teacher.")
        if len(recipe.crop) > 1:
            raise SweettokError(
                "A generator's videos are all of one size; give crop one choice, such as [[64, 16, 1.0]]."
            )
        if init is not None and recipe.words_from:
            raise SweettokError(
                "words_from starts new generators, and --init brings one; leave one of them out."
            )
        self.recipe = recipe
        self._config = make_config(recipe.model)
        self._init, self._words = init, words
        self._known = None if init is None else read_card(init)
        self._missing: list[str] = []  # what could not be had
        self._sheet: DrawnSheet | None = None

    def batches(
        self, data: Sequence[Path], val: Path | None, rank: int, ranks: int, voice: Voice
    ) -> WindowSource:
        """As :meth:`Task.batches`: token files, and folders of them."""
        known, recipe = self._known, self.recipe
        learned = self._read(data, voice, known)
        self.card = GeneratorCard(
            name="",
            config=self._config if known is None else known.config,
            vocabulary=learned.order.vocabulary,
            like=learned.like,
            clips=min(
                -(-recipe.frames // learned.like.clip_frames),
                max(len(video.clips) for video in learned.videos),
            ),
        )
        self._held_out: list[SymbolVideo] = []
        if val is not None and recipe.validate_every:
            held_out = self._read([val], voice, self.card).videos
            self._held_out = held_out[: recipe.validate_clips]
            learned.videos = _others(learned.videos, held_out, val, voice)
        self._windows = Windows(learned.order, self.card.clips)
        size = int(recipe.crops[0][1])
        dropout = recipe.label_dropout if recipe.classes else 0.0
        how = size, recipe.seed, dropout, rank, ranks, recipe.accumulate
        self._source = WindowSource(self._windows, learned.videos, *how)
        return self._source

    def found(self) -> dict[str, Any]:
        """As :meth:`Task.found`."""
        code, held_out = self.card.vocabulary, sum(len(video.clips) for video in self._held_out)
        symbols = {"vocabulary": code.size, "classes": len(code.classes)}
        return {**self._source.found(), **symbols, "clips_held_out": held_out}

    def kinds(self) -> Iterable[Kind]:
        """As :meth:`Task.kinds`."""
        return [self._source.kind()]

    def _read(self, given: Sequence[Path], voice: Voice, known: GeneratorCard | None) -> SymbolVideos:
        with voice.progress("reading tokens", "files") as on_progress:
            videos = read_videos(given, self.recipe.classes, on_progress)
            if known is None:
                found = SymbolVideos(videos)
            else:
                found = SymbolVideos(videos, known.like, known.vocabulary.classes)
        side, like = int(self.recipe.crop[0][0]), found.like
        if {like.padded_width, like.padded_height} != {side}:
            raise SweettokError(
                f"The tokens in {given[0]} are of {like.padded_width}x{like.padded_height} pixels, and crop "
                f"says {side}; encode videos of that size, or set crop for tokens of squares."
            )
        return found

    def build(self, device: torch.device, voice: Voice, until: float = math.inf) -> None:
        """As :meth:`Task.build`.

        Raises:
            SweettokError: as :func:`read_network`; the words are others than those of the tokens.
        """
        vocabulary = self.card.vocabulary
        if self._init is None:
            source = self._find_source()
            words = self._word_lists(source)
            self._tokenizer = make_tokenizer(vocabulary, words)
            made = Generator(build_network(self.card.config, vocabulary), vocabulary)
            if self.recipe.words_from:
                if words is None:
                    raise SweettokError("words_from needs symbols that are words; leave it out.")
                start_from_words(made, vocabulary, words, self.recipe.words_from, voice)
            elif source is not None and self.card.config.network == "llama":
                codes = tokenizer_of(vocabulary, source, "cpu", given_as="prior").code_vectors()
                start_from_codes(made, vocabulary, codes)
        else:
            self._tokenizer = read_tokenizer(self._init, vocabulary)
            made = read_network(self._init, self.card)
            if self.card.config != self._config:
                voice.say(f"the network is that of {self._init}, not the recipe's")
        self._take(made, device)

    def _find_source(self) -> Path | None:
        """The folder of the tokenizer that made the tokens."""
        model = self.card.like.model
        folder = self._words or find_named(model)
        if folder is None:
            self._missing.append(
                f"{model}, which made the tokens, is no shipped or pulled model: symbols are named by their "
                "numbers and begin anywhere; --prior gives its folder"
            )
        return folder

    def _word_lists(self, source: Path | None) -> dict[str, list[str]] | None:
        like = self.card.like
        if source is None or not all(map(parts_of_speech, like.codebooks)):
            return None
        return read_word_lists(str(source), like.weights_sha256)

    def resume(self, device: torch.device, exported: Path, model: Mapping[str, Tensor]) -> None:
        """As :meth:`Task.resume`.

        Raises:
            SweettokError: the tokens are others than those of the run.
        """
        before = read_card(exported)
        if before.vocabulary != self.card.vocabulary:
            raise SweettokError(
                f"The tokens are spelt in another way than those of the run ({exported}): by another model, "
                "or with other classes; give --data that the run began with."
            )
        self._tokenizer = read_tokenizer(exported, before.vocabulary)
        self._take(Generator(build_network(before.config, before.vocabulary), before.vocabulary), device)

    def _take(self, made: Generator, device: torch.device) -> None:
        """Check that the longest window fits, and let the network compute as the recipe wants."""
        places, length = self.card.config.places, self.card.order.clip.length
        if places and (length is None or 2 + self.card.clips * (length + 1) > places + 1):
            raise SweettokError(
                f"A window of {self.card.clips} clips has more symbols than the {places} places that the "
                "network learns; set fewer frames, or more model.places."
            )
        if self.recipe.gradient_checkpointing:
            made.network.gradient_checkpointing_enable()
        if self.recipe.compile:
            for layer in made.layers():
                layer.compile(dynamic=True)
        self.recipe = replace(self.recipe, model=describe_config(self.card.config))
        self.device, self.model = device, made.to(device).train()

    def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
        """As :meth:`Task.parameter_groups`: all of them; embeddings do not decay, and are called so."""
        embeddings = {id(self.model.network.get_input_embeddings().weight)}
        embeddings |= {id(p) for name, p in self.model.named_parameters() if name.endswith("wpe.weight")}
        named = [
            (name.removesuffix(".weight") if id(p) in embeddings else name, p)
            for name, p in self.model.named_parameters()
        ]
        return {"generator": named}

    def losses(self, model: nn.Module, batch: WindowBatch, step: int) -> Step:
        """As :meth:`Task.losses`: nats of a symbol; measured is how many bits a symbol takes."""
        unlikely, loss = model(*self._on_device(batch), self.recipe.label_smoothing)
        learned = (batch.targets != UNLEARNED).sum()
        return Step({"generator": {"likelihood": loss}}, {"nats": unlikely.sum() / int(learned)})

    def _on_device(self, batch: WindowBatch) -> tuple[Tensor, ...]:
        arrays = batch.symbols, batch.targets, batch.lists, batch.few
        return tuple(torch.from_numpy(array).to(self.device, non_blocking=True) for array in arrays)

    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """As :meth:`Task.figures`: bits of a symbol."""
        return {"bits": round(means.pop("nats") / _NATS, 4)}

    def cautions(self) -> list[str]:
        """As :meth:`Task.cautions`."""
        code, said = self.card.vocabulary, list(self._missing)
        if self.recipe.sample_every and at_hand(code, self._words) is None:
            said.append(f"no samples are drawn: {code.model}, which made the tokens, is not at hand")
        return said

    def samples(self, weights: nn.Module, path: Path, step: int) -> list[Path]:
        """As :meth:`Task.samples`: videos that it draws, where the tokenizer is at hand."""
        assert isinstance(weights, Generator)
        folder = at_hand(self.card.vocabulary, self._words)
        if self._sheet is None and folder is not None:
            self._sheet = DrawnSheet(self.card, folder, self.device, self._held_out)
        return self._sheet.draw(weights, path, step) if self._sheet is not None else []

    def validate(self, weights: nn.Module) -> dict[str, Any] | None:
        """As :meth:`Task.validate`: bits of a token of what is held out, and how many times fewer that is.

        ``ratio`` is nominal bits, log2 of its codebook's size for every index, over those that the network
        needs. What follows a clip, another one or the end, does not count.
        """
        if not self._held_out:
            return None
        code, nats = self.card.vocabulary, 0.0
        marks = [code.special(name) for name in ("clip", "end")]
        size = max(1, int(self.recipe.crops[0][1]))
        assert isinstance(weights, Generator)
        for batch in self._windows.covering(self._held_out, size):
            unlikely, _ = weights(*self._on_device(batch))
            unlikely = unlikely.cpu().double()
            for mark in marks:
                unlikely[torch.from_numpy(batch.targets == mark)] = 0
            nats += unlikely.sum().item()
        tokens = sum(video.tokens for video in self._held_out)
        bits, nominal = nats / _NATS, sum(video.bits for video in self._held_out)
        return {
            "ratio": nominal / bits,
            "bits_per_token": bits / tokens,
            "nominal_bits_per_token": nominal / tokens,
            "clips": len(self._held_out),
        }

    @property
    def validation_steps(self) -> float:
        """As :attr:`Task.validation_steps`: by symbols, forwards only."""
        learned = int(self.recipe.crops[0][1]) * self.recipe.accumulate * self.card.clips
        return sum(len(video.clips) for video in self._held_out) / (2 * learned)

    def measured_by(self, model: Path, val: str | None) -> str:
        """As :meth:`Task.measured_by`."""
        return "resume with more minutes to measure"

    def export(self, folder: Path, weights: nn.Module, name: str) -> None:
        """As :meth:`Task.export`."""
        assert isinstance(weights, Generator)
        with replaced(folder) as made:
            write_generator(made, weights, replace(self.card, name=name), self._tokenizer)


def _others(
    learned: Sequence[SymbolVideo], held_out: Iterable[SymbolVideo], val: Path, voice: Voice
) -> list[SymbolVideo]:
    """The videos that are not held out, under whatever name.

    Raises:
        SweettokError: there are none.
    """
    known = {video.sha256 for video in held_out}
    kept = [video for video in learned if video.sha256 not in known]
    if not kept:
        raise SweettokError(
            f"All token files of --data lie in --val {val}, too, or are copies of those, which is never "
            "trained on; give other ones with one of them."
        )
    if left := len(learned) - len(kept):
        voice.say(f"{left} of {len(learned)} videos are those of --val {val}, or copies, and are left out")
    return kept
