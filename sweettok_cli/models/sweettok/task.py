"""How SweetTok trains: one stage of its curriculum, step by step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.codebook.prior import WordPrior
from sweettok_cli.data.sampler import Batch, Sampler
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.codebook_window import CodebookWindow
from sweettok_cli.models.common.discriminator import CLIPS, PICTURES, PatchDiscriminator
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.stages import stages_of, with_stage
from sweettok_cli.models.sweettok.config import SweetTokConfig, describe_config, make_config
from sweettok_cli.models.sweettok.curriculum import (
    STAGES,
    UNTAUGHT_PIXELS,
    data_cautions,
    frozen_parts,
    order_cautions,
)
from sweettok_cli.models.sweettok.folder import (
    read_config,
    read_model,
    read_prior,
    save_model_folder,
    words_for,
)
from sweettok_cli.models.sweettok.growth import start_detail
from sweettok_cli.models.sweettok.initialise import start_linear, start_words
from sweettok_cli.models.sweettok.meaning import Meaning
from sweettok_cli.models.sweettok.network import SweetTok, SweetTokOutput, grown
from sweettok_cli.models.sweettok.teacher import Teacher, weights_of
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.training.clips import DISCRIMINATOR, ClipTask
from sweettok_cli.training.folder import replaced
from sweettok_cli.training.log import Voice
from sweettok_cli.training.losses.adversarial import Adversary
from sweettok_cli.training.losses.perceptual import perceptual_distance, perceptual_loss
from sweettok_cli.training.losses.reconstruction import mean_squared_error, reconstruction_losses
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.task import Step

Terms = dict[str, Tensor]


class SweetTokTask(ClipTask):
    """One stage of the curriculum.

    Args:
        recipe: the stage, the network (``model.preset`` and its overrides; with ``init`` the folder says it),
            the weights of the losses.
        init: a model folder whose configuration, words and weights to start from.
        prior: folder of a word prior, for a network that starts from scratch.
        teacher: model folder of the proxy tokenizer whose codes are learned first.
    """

    model: SweetTok
    words: WordPrior
    use: CodebookWindow
    meaning: dict[str, Meaning]  # of each half whose words are to keep theirs
    teacher: Teacher | None = None
    perceptual: nn.Module | None  # what feels how far frames are apart

    def __init__(
        self,
        recipe: Recipe,
        init: Path | None = None,
        prior: Path | None = None,
        teacher: Path | None = None,
    ) -> None:
        super().__init__(recipe)
        self._init, self._prior, self._teacher = init, prior, teacher
        self._missing: list[str] = []  # what the recipe asks for and cannot be had
        self._trained: set[int] | None = set()  # stages that the network has been through; None: unknown
        self.title = f"stage {recipe.stage}, {STAGES[recipe.stage]}"
        # Motion sees nothing of a step on pictures, the pixel decoder nothing of one on proxy codes.
        self.unused_parameters = recipe.stage == 1 or recipe.pictures + recipe.alternate + recipe.proxy > 0

    @property
    def multiple(self) -> int:
        """As :attr:`ClipTask.multiple`: whole tiles."""
        return self.model.config.multiple

    @property
    def helpers(self) -> Mapping[str, nn.Module]:
        """As :attr:`Task.helpers`."""
        felt = {} if self.perceptual is None else {"perceptual": self.perceptual}
        return felt if self.teacher is None else {**felt, "teacher": self.teacher.network}

    def batches(self, data: Sequence[Path], val: Path | None, rank: int, ranks: int, voice: Voice) -> Sampler:
        """As :meth:`Task.batches`; codes of the teacher that are packed beside clips come with them."""
        sampler = super().batches(data, val, rank, ranks, voice)
        if self._teacher is not None and self.recipe.proxy:
            why = sampler.use_codes(weights_of(self._teacher))
            if why is not None:
                self._missing.append(f"codes packed beside clips are not used: {why}; others are computed")
        return sampler

    def build(self, device: torch.device, voice: Voice, until: float = math.inf) -> None:
        """As :meth:`Task.build`; a new network starts on what its first clips are like.

        Raises:
            SweettokError: no words are given for a new network, or the recipe names no known network.
        """
        if self._init is not None:
            stored = read_folder(self._init, read_model)
            if self._teacher is not None and not stored.config.pixels and self.recipe.proxy < 1:
                # Behind the codes a pixel decoder, which the teacher's own will fill.
                painting = grown(stored.network, stored.words, pixels=True)
                stored = replace(stored, network=painting, config=painting.config)
            if self.recipe.model and make_config(self.recipe.model) != stored.config:
                voice.say(f"the network is that of {self._init}, not the recipe's")
            self._trained = stages_of(ModelFolder(self._init))
            self._check(stored.config)
            network = stored.network.to(device)
            if self.recipe.lay_out_words:
                network = self._lay_out(network, stored.words, device, voice, until)
            if self.recipe.levels and not network.config.levels:
                network = self._grow(network, stored.words, device, voice, until)
            self.recipe = replace(self.recipe, model=describe_config(network.config))
            self._take(network, stored.words, device, voice)
            return
        if self._prior is None:
            raise SweettokError(
                "A new network needs words: give --prior FOLDER (sweettok codebook build), or --init MODEL."
            )
        config = make_config(self.recipe.model)
        words = words_for(config, self._prior)
        self._check(config)
        network = SweetTok(config, words).to(device)
        self.device = device
        if config.anchored and self.recipe.init_samples:
            video = self._first(voice, until)
            steps, neighbours = self.recipe.word_steps, self._held_near(config)
            with voice.progress("fitting the new network to them", "steps") as on_progress:
                start_linear(
                    network, video, steps, neighbours=neighbours, on_progress=on_progress, until=until
                )
            _say_if_late(until, voice)
        self._take(network, words, device, voice)

    def _first(self, voice: Voice, until: float) -> Tensor:
        """The samples that something new is fitted to: [n, 3, t, h, w] in [-0.5, 0.5]."""
        samples = self.recipe.init_samples
        voice.say(f"initialising from {samples} samples")
        with voice.progress("reading samples to start from", "samples") as on_progress:
            found = self.sampler.first(samples, on_progress, until)
        return to_video(self.on_device(found.frames))

    def _lay_out(
        self, network: SweetTok, words: WordPrior, device: torch.device, voice: Voice, until: float
    ) -> SweetTok:
        """The network with its words laid out anew, each with an offset.

        Raises:
            SweettokError: its codes are not mapped to a width of their own, or no samples are to be read.
        """
        config = network.config
        if not (config.spatial_code and config.temporal_code and self.recipe.init_samples):
            raise SweettokError(
                f"The words of {self._init} cannot be laid out anew: that takes init_samples above 0 and a "
                "network with widths of codes (model.spatial_code, model.temporal_code); set "
                "lay_out_words=false."
            )
        laid = grown(network, words, word_offsets=True).to(device)
        self.device = device
        video = self._first(voice, until)
        steps, neighbours = self.recipe.word_steps, self._held_near(config)
        with voice.progress("laying out the words among them", "steps") as on_progress:
            start_words(laid, video, steps, neighbours, on_progress=on_progress, until=until)
        _say_if_late(until, voice)
        return laid

    def _grow(
        self, network: SweetTok, words: WordPrior, device: torch.device, voice: Voice, until: float
    ) -> SweetTok:
        """The network with levels of detail, which begin at what it leaves over of the first samples.

        Raises:
            SweettokError: no such network can have levels, or no samples of clips are to be read.
        """
        if not self.recipe.init_samples or self.recipe.frames == 1:
            raise SweettokError(
                "Levels of detail begin at what a network leaves over of clips; set init_samples above 0 and "
                "frames above 1, or levels=0."
            )
        try:
            detailed = grown(network, words, levels=self.recipe.levels).to(device)
        except ValueError as error:
            raise SweettokError(f"{self._init} cannot have levels: {error}; set levels=0.") from error
        self.device = device
        video = self._first(voice, until)
        with voice.progress("starting levels of detail from them", "steps") as on_progress:
            start_detail(detailed, video, on_progress)
        return detailed

    def resume(self, device: torch.device, exported: Path, model: Mapping[str, Tensor]) -> None:
        """As :meth:`Task.resume`; only the network's description comes from the exported model.

        The exported weights need not be those of the checkpoint: a run can end between the two, or while
        files of the model are being replaced.

        Raises:
            SweettokError: the description is missing or damaged.
        """
        folder = ModelFolder(exported)
        config, words = read_config(folder), read_prior(folder, model)
        self._trained = stages_of(folder)
        self._take(SweetTok(config, words), words, device)

    def _check(self, config: SweetTokConfig) -> None:
        """Refuse samples that the network cannot take, before anything slow."""
        for side in sorted({int(side) for side, _, _ in self.recipe.crop}):
            try:
                config.token_counts(side, side, self.recipe.frames)
            except ValueError as error:
                near = f"for example {self.recipe.crops_near(config.multiple)}"
                how = near if side % config.multiple else "change frames, or model.frames with it"
                raise SweettokError(
                    f"The network cannot take samples of crop = {side} and frames = {self.recipe.frames} "
                    f"({error}); {how}."
                ) from error

    def cautions(self) -> list[str]:
        """As :meth:`Task.cautions`: stages in an order in which they teach little, and data that do."""
        of_network = self.model.proxy_pixels is not None and self.teacher is None and self._init is None
        return [
            *self._missing,
            *order_cautions(self.recipe.stage, self._trained, self._init),
            *([UNTAUGHT_PIXELS] if of_network else []),
            *data_cautions(self.recipe, all(entry.is_image for entry in self.sampler.entries)),
        ]

    def _take(
        self, network: SweetTok, words: WordPrior, device: torch.device, voice: Voice | None = None
    ) -> None:
        if self.recipe.stage == 4 and not network.config.levels:
            raise SweettokError(
                "Stage 4 trains levels of detail, and the network has none; start from a trained model with "
                "--init, and set levels above 0."
            )
        # No cell need be worth a token of some level.
        self.unused_parameters = self.unused_parameters or network.config.levels > 0
        self._instruct(network, device, voice)
        self.model, self.words, self.device = network.to(device).train(), words, device
        self.freeze(network)
        halves = {"spatial": network.quantize_spatial.sizes, "temporal": network.quantize_temporal.sizes}
        sizes: dict[str, int] = {}
        for half, (modifiers, _, heads) in halves.items():
            sizes |= {f"{half}_modifier": modifiers, f"{half}_head": heads}
        self.use = CodebookWindow(sizes, self.recipe.window, device)
        self.meaning = {}
        if self._held_near(network.config):
            quantizers = {"spatial": network.quantize_spatial, "temporal": network.quantize_temporal}
            self.meaning = {half: Meaning.of(quantizer) for half, quantizer in quantizers.items()}
        self.perceptual = None
        if self.recipe.perceptual:
            say = None if voice is None else voice.say
            self.perceptual = perceptual_distance(self.recipe, device, say, self._missing.append)
        if self.recipe.adversarial:
            kind = {"clips": CLIPS, "frames": PICTURES}[self.recipe.discriminator_sees]
            kind = replace(kind, width=self.recipe.discriminator_width)
            discriminator = PatchDiscriminator(kind).to(device)
            self.critics = {DISCRIMINATOR: Adversary(discriminator, self.recipe)}

    def _instruct(self, network: SweetTok, device: torch.device, voice: Voice | None) -> None:
        """Let the teacher give the network what it paints with, where there is a teacher.

        Raises:
            SweettokError: there is none and the recipe needs one, or they do not fit each other.
        """
        if self._teacher is not None:
            self.teacher = Teacher(self._teacher, device)
            self.teacher.check(network.config, sorted({int(side) for side, _, _ in self.recipe.crop}))
            if network.config.pixels and self.teacher.hand_over(network) and voice is not None:
                voice.say(f"pixels begin with the codes and the decoder of {self._teacher}")
        elif self.recipe.proxy:
            raise SweettokError(
                f"proxy = {self.recipe.proxy:g} needs the tokenizer whose codes are to be learned; name "
                "an OmniTokenizer with --teacher, or set proxy=0."
            )
        if not network.config.pixels and self.recipe.proxy < 1:
            how = "set proxy=1 and name that tokenizer with --teacher, or leave that out of the recipe"
            if self._init is not None:
                how = "train stage 2 on it first, which adds pixels, with that tokenizer as --teacher"
            raise SweettokError(
                "A network with model.pixels = false ends in codes of the proxy tokenizer, not in the pixels "
                f"that the losses compare; {how}."
            )

    def freeze(self, network: SweetTok) -> None:
        """Keep what this stage does not train as it is: no gradient, no dropout."""
        for part in frozen_parts(self.recipe.stage, network):
            part.requires_grad_(False)
            if isinstance(part, nn.Module):
                part.eval()

    def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
        """As :meth:`Task.parameter_groups`: one optimizer for all that learns, and the discriminator's."""
        learned = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        critics = {name: critic.named_parameters() for name, critic in self.critics.items()}
        return {"model": learned, **critics}

    def losses(self, model: nn.Module, batch: Batch, step: int) -> Step:
        """As :meth:`Task.losses`: of proxy codes or of pixels and, while tokens learn, the quantizers'."""
        video = to_video(self.on_device(batch.frames))
        by_codes = step < self.recipe.proxy * self.recipe.steps
        factor = None
        if self.model.detail is not None and self.recipe.stage in (2, 4):
            factor = self.model.detail.draw_factors(len(video), self.recipe.prices, self.recipe.uniform)
        output: SweetTokOutput = model(video, paint=not by_codes, factor=factor)
        if by_codes:
            assert self.teacher is not None and output.logits is not None
            terms, measures = self.teacher.terms(output.logits, video, batch.codes)
        else:
            terms, measures = self._by_pixels(output, video)
        if output.refined is not None and video.shape[2] > 1:
            measures["tokens"] = output.refined.tokens.float().mean()
        if self.recipe.stage < 3:
            of_words = output.codebook_losses() | self._neighbours(output)
            terms |= {name: self.recipe.quantizer * term.float() for name, term in of_words.items()}
        self.use.add(output.ids_by_list())
        losses = {"model": terms}
        if self.critics and step >= self.recipe.discriminator_start and not by_codes:
            of_decoder, own = self.critics[DISCRIMINATOR](output.reconstruction, video)
            terms |= of_decoder
            losses |= {DISCRIMINATOR: own} if own else {}
        return Step(losses, measures)

    def _by_pixels(self, output: SweetTokOutput, video: Tensor) -> tuple[Terms, Terms]:
        """Terms and measures of a step on pixels: distances, and what a perceptual network feels."""
        assert output.reconstruction is not None
        terms = reconstruction_losses(output.reconstruction, video, self.recipe)
        if self.perceptual is not None:
            every = self.recipe.perceptual_every
            felt = perceptual_loss(self.perceptual, output.reconstruction, video, every)
            terms["perceptual"] = self.recipe.perceptual * felt
        return terms, {"mse": mean_squared_error(output.reconstruction, video)}

    def _held_near(self, config: SweetTokConfig) -> float:
        """How much it counts that words lie near their neighbours: nothing where codes are none of words'."""
        return self.recipe.neighbours if config.codebook == "language" else 0.0

    def _neighbours(self, output: SweetTokOutput) -> Terms:
        """Of each codebook that was chosen from: how badly near words lie near each other, weighted."""
        codes = {"spatial": output.spatial.codebook, "temporal": output.temporal.codebook}
        return {
            f"{half}_neighbours": self.recipe.neighbours * meaning.loss(found)
            for half, meaning in self.meaning.items()
            if (found := codes[half]) is not None
        }

    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """As :meth:`Task.figures`: PSNR or the share of proxy codes that are right, use of each codebook."""
        found = super().figures(means) if "mse" in means else {}
        if "proxy_hits" in means:
            found["proxy_hits"] = round(means.pop("proxy_hits"), 4)
        if "tokens" in means:
            found["tokens"] = round(means.pop("tokens"), 1)
        return {**found, "codebooks": self.use.figures()}

    def reconstruct(self, weights: nn.Module, frames: np.ndarray) -> np.ndarray:
        """As :meth:`ClipTask.reconstruct`; proxy codes without pixels are painted by the teacher."""
        output: SweetTokOutput = weights(to_video(self.on_device(frames)))
        made = output.reconstruction
        if made is None:
            assert self.teacher is not None and output.logits is not None
            made = self.teacher.decode(output.logits.argmax(-1))
        return to_frames(made).cpu().numpy()

    def export(self, folder: Path, weights: nn.Module, name: str) -> None:
        """As :meth:`Task.export`."""
        source = with_stage(self._trained, self.recipe.stage)
        with replaced(folder) as made:
            save_model_folder(made, weights, self.words, name, source=source)

    def state_dict(self) -> dict[str, Any]:
        """As :meth:`Task.state_dict`: the window over which codebook use is counted."""
        return self.use.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As :meth:`Task.load_state_dict`."""
        self.use.load_state_dict(state)


def _say_if_late(until: float, voice: Voice) -> None:
    if time.perf_counter() > until:
        voice.say("its start was cut short: half of the minutes are over")
