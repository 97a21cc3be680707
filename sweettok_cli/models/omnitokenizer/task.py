"""How OmniTokenizer trains: on pictures, then on clips and pictures by turns, then with continuous latents.

Source of stages, losses and numbers: FoundationVision/OmniTokenizer (scripts/recons/train.sh and what it
calls); Wang et al., arXiv:2406.09399, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.discriminator import CLIPS, PICTURES, PatchDiscriminator
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.grid_task import GridTask
from sweettok_cli.models.common.stages import stages_of, with_stage
from sweettok_cli.models.omnitokenizer.averages import CodeAverages
from sweettok_cli.models.omnitokenizer.config import OmniConfig, describe_config, make_config
from sweettok_cli.models.omnitokenizer.folder import read_config, read_network, save_network
from sweettok_cli.models.omnitokenizer.initialise import as_continuous, spread_over_time, start_small
from sweettok_cli.models.omnitokenizer.network import OmniOutput, OmniTokenizer
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.training.clips import DISCRIMINATOR
from sweettok_cli.training.folder import replaced
from sweettok_cli.training.log import Voice
from sweettok_cli.training.losses.adversarial import Adversary
from sweettok_cli.training.losses.perceptual import perceptual_loss
from sweettok_cli.training.losses.reconstruction import mean_squared_error, reconstruction_losses
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.task import Step

_CODEBOOK = "codebook"  # what its moving averages are called
_AT_ONCE = 4  # samples of those that the first codes are drawn from
STAGES = {1: "pictures", 2: "clips and pictures", 3: "continuous latents"}


class OmniTokenizerTask(GridTask):
    """One stage of training, as :class:`GridTask` has it."""

    family, stages = "OmniTokenizer", STAGES
    model: OmniTokenizer
    averages: CodeAverages | None = None  # what the codebook follows

    def __init__(
        self,
        recipe: Recipe,
        init: Path | None = None,
        prior: Path | None = None,
        teacher: Path | None = None,
    ) -> None:
        super().__init__(recipe, init, prior, teacher)
        self._trained: set[int] | None = set()  # stages that the network has been through; None: unknown
        # Layers of later frames see nothing of a step on pictures.
        self.unused_parameters = recipe.frames == 1 or recipe.pictures + recipe.alternate > 0

    @property
    def multiple(self) -> int:
        """As :attr:`ClipTask.multiple`: whole windows."""
        return self.model.config.multiple

    def build(self, device: torch.device, voice: Voice, until: float = math.inf) -> None:
        """As :meth:`Task.build`; the codes of a new network are latents of its first samples.

        Raises:
            SweettokError: the recipe names no known network, samples are not what the network takes, or the
                stage is none for the model to start from.
        """
        asked = make_config(self.recipe.model)
        if self._init is None:
            self._check(asked)
            network = start_small(OmniTokenizer(asked))
        else:
            network = self._carried_over(self._init, voice)
            if self.recipe.model and network.config != asked:
                voice.say(f"the network is that of {self._init}, not the recipe's")
            self._check(network.config)
        self.recipe = replace(self.recipe, model=describe_config(network.config))
        self._take(network, device, voice)
        if self._init is None and self.averages is not None and self.recipe.init_samples:
            self._draw_codes(self.averages, voice, until)

    def resume(self, device: torch.device, exported: Path, model: Mapping[str, Tensor]) -> None:
        """As :meth:`Task.resume`."""
        folder = ModelFolder(exported)
        self._trained = stages_of(folder)
        self._take(OmniTokenizer(read_config(folder)), device)

    def _carried_over(self, init: Path, voice: Voice) -> OmniTokenizer:
        """The network of the stage before, as this stage begins with it."""
        network = read_folder(init, read_network)
        self._trained = stages_of(ModelFolder(init))
        continuous = network.config.regularizer == "kl"
        if self.recipe.stage == 3 and not continuous:
            voice.say(f"the codes of {init} make way for continuous latents")
            return as_continuous(network)
        if self.recipe.stage == 2 and self._trained == {1}:
            voice.say("layers of later frames begin as those of the first one")
            return spread_over_time(network)
        return network

    def _check(self, config: OmniConfig) -> None:
        """Refuse samples that the network cannot take, and the stage of another form."""
        if (config.regularizer == "kl") != (self.recipe.stage == 3):
            form = "continuous" if config.regularizer == "kl" else "with codes"
            raise SweettokError(
                f"Stage {self.recipe.stage} does not train a network {form}: stages 1 and 2 train codes, "
                "stage 3 continuous latents (model.regularizer = kl); choose another --config or --stage."
            )
        if (self.recipe.frames - 1) % config.temporal_patch:
            raise SweettokError(
                f"The network takes 1 + {config.temporal_patch} * k frames, not {self.recipe.frames}; change "
                "frames in the recipe."
            )
        for side in sorted({int(side) for side, _, _ in self.recipe.crop}):
            if side % config.multiple:
                raise SweettokError(
                    f"The network takes sides of multiples of {config.multiple} pixels, and crop has {side}; "
                    f"for example {self.recipe.crops_near(config.multiple)}."
                )

    def _take(self, network: OmniTokenizer, device: torch.device, voice: Voice | None = None) -> None:
        recipe, config = self.recipe, network.config
        self.model, self.device = network.to(device).train(), device
        critics: dict[str, nn.Module] = {}
        self._watch(None if config.regularizer == "kl" else config.codes, device, voice)
        if config.regularizer == "vq":
            self.averages = critics[_CODEBOOK] = CodeAverages(network.codebook)
        if recipe.adversarial:
            kind = {"clips": CLIPS, "frames": PICTURES}[recipe.discriminator_sees]
            judge = PatchDiscriminator(replace(kind, width=recipe.discriminator_width, noise=True))
            critics[DISCRIMINATOR] = Adversary(judge.to(device), recipe)
        self.critics = critics

    @torch.no_grad()
    def _draw_codes(self, averages: CodeAverages, voice: Voice, until: float) -> None:
        with voice.progress("reading samples to draw codes from", "samples") as on_progress:
            found = self.sampler.first(self.recipe.init_samples, on_progress, until)
        parts = to_video(self.on_device(found.frames)).split(_AT_ONCE)
        latents = torch.cat([self.model.latents(part).flatten(0, -2) for part in parts])
        averages.start(self.model.codebook, latents)

    def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
        """As :meth:`Task.parameter_groups`: one optimizer for all that learns, and the discriminator's."""
        groups: dict[str, Iterable[tuple[str, nn.Parameter]]] = {"model": self.model.named_parameters()}
        if DISCRIMINATOR in self.critics:
            groups[DISCRIMINATOR] = self.critics[DISCRIMINATOR].named_parameters()
        return groups

    def cautions(self) -> list[str]:
        """As :meth:`Task.cautions`: stages in an order in which they teach little, and data that do."""
        found, stage, recipe = super().cautions(), self.recipe.stage, self.recipe
        moving = recipe.frames > 1 and recipe.pictures < 1
        if stage != 1 and self._init is None:
            found.append(
                f"stage {stage} begins with a new network, and not with that of stage {stage - 1}; train "
                "that first, and start from its model with --init"
            )
        if stage == 1 and moving:
            found.append(
                f"stage 1 is for pictures, but frames = {recipe.frames} makes its samples clips; set frames=1"
            )
        if stage != 1 and not moving:
            found.append(
                f"stage {stage} sees single pictures only (frames = {recipe.frames}, pictures = "
                f"{recipe.pictures:g}), and the layers of later frames learn nothing; set frames=17"
            )
        elif stage != 1 and all(entry.is_image for entry in self.sampler.entries):
            found.append(
                "all training files are pictures, which stand still: nothing is learned of motion; give "
                "clips with --data, or train stage 1"
            )
        return found

    def losses(self, model: nn.Module, batch: Batch, step: int) -> Step:
        """As :meth:`Task.losses`: of the clip, of its latents, and what a discriminator says of it."""
        recipe = self.recipe
        video = to_video(self.on_device(batch.frames))
        output: OmniOutput = model(video)
        made = output.reconstruction.float()
        terms = reconstruction_losses(made, video, recipe)
        if self.perceptual is not None:
            # Published code shows LPIPS values in [-0.5, 0.5], half the range that it is made for.
            felt = perceptual_loss(self.perceptual, made / 2, video / 2, recipe.perceptual_every)
            terms["perceptual"] = recipe.perceptual * felt
        terms["latents"] = recipe.quantizer * output.loss.float()
        self.count(output.indices)
        if output.indices is not None and self.averages is not None:
            codebook = self.model.codebook
            self.averages.follow(codebook, output.latents.detach(), output.indices, recipe.restart)
        losses = {"model": terms}
        # A discriminator of clips does not judge pictures.
        judged = recipe.discriminator_sees == "frames" or video.shape[2] > 1
        if DISCRIMINATOR in self.critics and judged and step >= recipe.discriminator_start:
            of_decoder, own = self.critics[DISCRIMINATOR](made, video)
            terms |= of_decoder
            losses |= {DISCRIMINATOR: own} if own else {}
        return Step(losses, {"mse": mean_squared_error(made, video)})

    def reconstruct(self, weights: nn.Module, frames: np.ndarray) -> np.ndarray:
        """As :meth:`ClipTask.reconstruct`."""
        output: OmniOutput = weights(to_video(self.on_device(frames)))
        return to_frames(output.reconstruction).cpu().numpy()

    def export(self, folder: Path, weights: nn.Module, name: str) -> None:
        """As :meth:`Task.export`."""
        assert isinstance(weights, OmniTokenizer)
        with replaced(folder) as made:
            save_network(made, weights, name, with_stage(self._trained, self.recipe.stage))
