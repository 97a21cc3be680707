"""How VidTok trains: the whole network on small clips, then its decoder alone on large ones.

Source of losses and numbers: microsoft/VidTok. Unlike there, nothing of the discriminator changes, and LeCam
averages nothing, before it begins to judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.discriminator import VIDTOK_CLIPS, VIDTOK_FRAMES, PatchDiscriminator
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.grid_task import GridTask
from sweettok_cli.models.vidtok.config import VidTokConfig, describe_config, make_config
from sweettok_cli.models.vidtok.folder import read_config, read_network, save_network
from sweettok_cli.models.vidtok.network import VidTok, VidTokOutput
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.training.clips import DISCRIMINATOR
from sweettok_cli.training.folder import replaced
from sweettok_cli.training.log import Voice
from sweettok_cli.training.losses.adversarial import Adversary, adaptive_weight, non_saturating
from sweettok_cli.training.losses.perceptual import perceptual_loss
from sweettok_cli.training.losses.reconstruction import mean_squared_error, reconstruction_losses
from sweettok_cli.training.task import Step

_LIKELIHOOD = "likelihood"
_JUDGED = 24  # pixels of the shortest side of which a discriminator of frames has something left at its end
STAGES = {1: "the whole network", 2: "decoder alone"}


class Likelihood(nn.Module):
    """How unlikely pictures are at a distance from what was made, if errors vary by a learned amount."""

    def __init__(self) -> None:
        super().__init__()
        self.logvar = nn.Parameter(torch.zeros(()))

    def forward(self, distance: Tensor) -> Tensor:
        """The negative logarithm, but for a constant, of each value."""
        return distance / self.logvar.exp() + self.logvar


class VidTokTask(GridTask):
    """One stage of training, as :class:`GridTask` has it."""

    family, stages = "VidTok", STAGES
    model: VidTok

    @property
    def multiple(self) -> int:
        """As :attr:`ClipTask.multiple`."""
        return self.model.config.space_factor

    def build(self, device: torch.device, voice: Voice, until: float = math.inf) -> None:
        """As :meth:`Task.build`.

        Raises:
            SweettokError: the recipe names no known network, or one of another kind than the model's, or
                samples are not what the network takes.
        """
        asked = make_config(self.recipe.model)
        if self._init is None:
            self._check(asked)
            network = VidTok(asked)
        else:
            network = read_folder(self._init, read_network)
            config = network.config
            if self.recipe.model and config.regularizer != asked.regularizer:
                raise SweettokError(
                    f"{self._init} holds a {config.regularizer} network, and the recipe is for "
                    f"{asked.regularizer}; choose a --config for {config.regularizer}."
                )
            if self.recipe.model and config != asked:
                voice.say(f"the network is that of {self._init}, not the recipe's")
            self._check(config)
        self.recipe = replace(self.recipe, model=describe_config(network.config))
        self._take(network, device, voice)

    def resume(self, device: torch.device, exported: Path, model: Mapping[str, Tensor]) -> None:
        """As :meth:`Task.resume`."""
        self._take(VidTok(read_config(ModelFolder(exported))), device)

    def _check(self, config: VidTokConfig) -> None:
        """Refuse samples that the network does not take, or does not give back whole."""
        sides = [int(side) for side, _, _ in self.recipe.crop if side % config.space_factor]
        if sides:
            raise SweettokError(
                f"The network takes sides of multiples of {config.space_factor} pixels, and crop has "
                f"{sides[0]}; for example {self.recipe.crops_near(config.space_factor)}."
            )
        smallest = min(int(side) for side, _, _ in self.recipe.crop)
        if self.recipe.adversarial and self.recipe.discriminator_sees == "frames" and smallest < _JUDGED:
            raise SweettokError(
                f"The discriminator of frames needs {_JUDGED} pixels, and crop has {smallest}; set a larger "
                "crop, or adversarial=0."
            )
        alone = self.recipe.pictures or self.recipe.alternate
        lengths = {self.recipe.frames, 1} if alone else {self.recipe.frames}
        rest = {"1.0": int(config.causal), "1.1": None}[config.version]
        for frames in sorted(lengths):
            if rest is not None and frames % config.time_factor != rest % config.time_factor:
                raise SweettokError(
                    f"The network gives back {rest} + {config.time_factor} * k frames, not {frames}; change "
                    "frames or pictures in the recipe."
                )

    def _take(self, network: VidTok, device: torch.device, voice: Voice | None = None) -> None:
        recipe, config = self.recipe, network.config
        self.model, self.device = network.to(device).train(), device
        if recipe.stage == 2:
            for part in (network.encoder, network.quantizer):
                if isinstance(part, nn.Module):
                    part.requires_grad_(False).eval()
        self._watch(None if config.regularizer == "kl" else config.codes, device, voice)
        self._likelihood = Likelihood().to(device)
        critics: dict[str, nn.Module] = {_LIKELIHOOD: self._likelihood}
        if recipe.adversarial:
            kind = {"clips": VIDTOK_CLIPS, "frames": VIDTOK_FRAMES}[recipe.discriminator_sees]
            judge = PatchDiscriminator(replace(kind, width=recipe.discriminator_width)).start_small()
            critics[DISCRIMINATOR] = Adversary(judge.to(device), recipe, non_saturating, each=True)
        self.critics = critics

    def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
        """As :meth:`Task.parameter_groups`: one optimizer for all that learns, and the discriminator's."""
        learned = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        groups: dict[str, Iterable[tuple[str, nn.Parameter]]] = {
            "model": [*learned, *self._likelihood.named_parameters()]
        }
        if DISCRIMINATOR in self.critics:
            groups[DISCRIMINATOR] = self.critics[DISCRIMINATOR].named_parameters()
        return groups

    def cautions(self) -> list[str]:
        """As :meth:`Task.cautions`."""
        found = super().cautions()
        if self.recipe.stage == 2 and self._init is None:
            found.append(
                "stage 2 freezes an encoder that nothing has trained; train stage 1 first, and start from "
                "its model with --init"
            )
        return found

    def losses(self, model: nn.Module, batch: Batch, step: int) -> Step:
        """As :meth:`Task.losses`: of the clip, of its latents, and what a discriminator says of it."""
        recipe = self.recipe
        video = to_video(self.on_device(batch.frames), reach=1.0)
        output: VidTokOutput = model(video, step if recipe.stage == 1 else None)
        made = output.reconstruction.float()
        # Other losses are of values in [-0.5, 0.5].
        apart = reconstruction_losses(made / 2, video / 2, recipe)
        if self.perceptual is not None:
            felt = perceptual_loss(self.perceptual, made / 2, video / 2, recipe.perceptual_every)
            apart["perceptual"] = recipe.perceptual * felt
        # Summed over a frame, the mean over frames.
        unlikely: Tensor = self._likelihood(torch.stack(list(apart.values())).sum())
        unlikely = unlikely * video[0, :, 0].numel()
        losses = {"model": {_LIKELIHOOD: unlikely}}
        if output.loss is not None:
            losses["model"]["latents"] = recipe.quantizer * output.loss.float()
        self.count(output.indices)
        if DISCRIMINATOR in self.critics and step >= recipe.discriminator_start:
            balance = partial(adaptive_weight, unlikely, last=self.model.decoder.conv_out.weight)
            of_decoder, own = self.critics[DISCRIMINATOR](made, video, balance)
            losses["model"] |= of_decoder
            losses |= {DISCRIMINATOR: own} if own else {}
        squared = mean_squared_error(made / 2, video / 2)
        return Step(losses, {"mse": squared, "logvar": self._likelihood.logvar, **apart})

    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """As :meth:`Task.figures`: PSNR, the learned variance, use of the codebook."""
        return {"logvar": round(means.pop("logvar"), 4), **super().figures(means)}

    def reconstruct(self, weights: nn.Module, frames: np.ndarray) -> np.ndarray:
        """As :meth:`ClipTask.reconstruct`."""
        output: VidTokOutput = weights(to_video(self.on_device(frames), reach=1.0))
        return to_frames(output.reconstruction, reach=1.0).cpu().numpy()

    def export(self, folder: Path, weights: nn.Module, name: str) -> None:
        """As :meth:`Task.export`."""
        assert isinstance(weights, VidTok)
        with replaced(folder) as made:
            save_network(made, weights, name)
