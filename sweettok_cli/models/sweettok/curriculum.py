"""The curriculum (SweetTok, section 3.4): what each stage leaves as it is, and in which order stages teach.

Stage 1 pre-trains the spatial half on single pictures, stage 2 trains both halves on clips, stage 3 freezes
encoder and codebook and fine-tunes decoding on pixels. Stage 4 is ours: levels of detail on a network that
is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import nn

from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.training.recipe import Recipe

STAGES = {
    1: "spatial half on pictures",
    2: "both halves on clips",
    3: "decoder on pixels",
    4: "levels of detail",
}

UNTAUGHT_PIXELS = (
    "the codes behind which the network's pixels lie are drawn at random and do not learn; name an "
    "OmniTokenizer with --teacher"
)


def frozen_parts(stage: int, network: SweetTok) -> Iterable[nn.Module | nn.Parameter]:
    """What a stage does not train."""
    if stage == 4:
        return [part for name, part in network.named_children() if name != "detail"]
    detail = [] if network.detail is None else [network.detail]
    if stage == 3:
        return [*network.encoding_parts(), *detail]
    return [*network.motion_parts(), *detail] if stage == 1 else []


def order_cautions(stage: int, before: set[int] | None, init: Path | None) -> list[str]:
    """What a stage lacks that others teach.

    Args:
        stage: the one to come.
        before: those that the network has been through; None: unknown.
        init: the model to start from, if there is one.
    """
    found = []
    if stage == 3 and before == set():
        found.append(
            "stage 3 freezes an encoder and words that no stage has trained; train stage 2 first, and "
            "start from its model with --init"
        )
    elif stage == 3 and before is not None and 2 not in before:
        found.append(
            f"the temporal half of {init} has never been trained, and stage 3 freezes its encoder; "
            "train stage 2 first, and start from its model with --init"
        )
    elif stage == 1 and before != set() and (before is None or 2 in before):
        found.append(
            f"stage 1 changes the spatial half of {init}, on which its temporal half was trained; "
            "let stage 2 follow"
        )
    return found


def data_cautions(recipe: Recipe, only_pictures: bool) -> list[str]:
    """What a stage cannot learn from its samples; ``only_pictures``: all training files are."""
    stage, found = recipe.stage, []
    moving = recipe.frames > 1 and recipe.pictures < 1
    if stage == 1 and moving:
        found.append(
            f"stage 1 does not train the temporal half, but frames = {recipe.frames} sends its "
            "samples through it; set frames=1"
        )
    if stage != 1 and not moving:
        found.append(
            f"stage {stage} sees single pictures only (frames = {recipe.frames}, pictures = "
            f"{recipe.pictures:g}), and the temporal half learns nothing; stage 1 is for pictures"
        )
    elif stage != 1 and only_pictures:
        found.append(
            "all training files are pictures, which stand still: the temporal half learns nothing of "
            "motion; give clips with --data, or train stage 1"
        )
    return found
