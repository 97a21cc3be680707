"""What tasks of tokenizers share whose tokens lie on a grid: one codebook or none, no words, no teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.codebook_window import CodebookWindow
from sweettok_cli.training.clips import ClipTask
from sweettok_cli.training.log import Voice
from sweettok_cli.training.losses.perceptual import perceptual_distance
from sweettok_cli.training.recipe import Recipe

_INDICES = "indices"  # what the codebook is called, as in token files


class GridTask(ClipTask):
    """One stage of training.

    Args:
        recipe: the stage, the network (``model.preset`` and its overrides; with ``init`` the folder says it),
            the weights of the losses.
        init: a model folder whose configuration and weights to start from.
        prior: not for these, which have no words.
        teacher: not for these, either.
    """

    family: ClassVar[str]  # what errors call it
    stages: ClassVar[Mapping[int, str]]  # and what each stage trains
    use: CodebookWindow | None = None  # of networks that have a codebook
    perceptual: nn.Module | None = None  # what feels how far frames are apart

    def __init__(
        self,
        recipe: Recipe,
        init: Path | None = None,
        prior: Path | None = None,
        teacher: Path | None = None,
    ) -> None:
        super().__init__(recipe)
        if recipe.stage not in self.stages:
            known = ", then ".join(map(str, self.stages))
            raise SweettokError(f"{self.family} has no stage {recipe.stage}; train stage {known}.")
        if prior is not None:
            raise SweettokError(f"{self.family} has no words; give no word prior.")
        if teacher is not None or recipe.proxy:
            raise SweettokError(f"{self.family} learns no proxy codes; give no teacher, and set proxy=0.")
        self._init = init
        self._missing: list[str] = []  # what the recipe asks for and cannot be had
        self.title = f"stage {recipe.stage}, {self.stages[recipe.stage]}"

    @property
    def helpers(self) -> Mapping[str, nn.Module]:
        """As :attr:`Task.helpers`."""
        return {} if self.perceptual is None else {"perceptual": self.perceptual}

    def _watch(self, codes: int | None, device: torch.device, voice: Voice | None) -> None:
        """Make what counts the use of so many codes, and what feels how far frames are apart."""
        if codes is not None:
            self.use = CodebookWindow({_INDICES: codes}, self.recipe.window, device)
        if self.recipe.perceptual:
            say = None if voice is None else voice.say
            self.perceptual = perceptual_distance(self.recipe, device, say, self._missing.append)

    def count(self, indices: Tensor | None) -> None:
        """Count the codes of a batch, if they are any."""
        if indices is not None and self.use is not None:
            self.use.add({_INDICES: indices})

    def cautions(self) -> list[str]:
        """As :meth:`Task.cautions`."""
        return list(self._missing)

    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """As :meth:`Task.figures`: PSNR, use of the codebook."""
        found = super().figures(means)
        return found if self.use is None else {**found, "codebooks": self.use.figures()}

    def state_dict(self) -> dict[str, Any]:
        """As :meth:`Task.state_dict`: the window over which codebook use is counted."""
        return {} if self.use is None else self.use.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As :meth:`Task.load_state_dict`."""
        if self.use is not None:
            self.use.load_state_dict(state)
