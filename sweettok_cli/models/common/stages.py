"""What a model says of the stages of training that it has been through."""

from __future__ import annotations

from typing import Any

from sweettok_cli.storage.model_folder import ModelFolder

_STAGES = "stages"  # what it calls them in the source of its configuration
_MOST = 4


def stages_of(model: ModelFolder) -> set[int] | None:
    """The stages; None for models from elsewhere."""
    stages = model.header.source.get(_STAGES)
    return set(stages) & set(range(1, _MOST + 1)) if isinstance(stages, list) else None


def with_stage(stages: set[int] | None, stage: int) -> dict[str, Any] | None:
    """The source of a model that has been through one more stage; None where the others are not known."""
    return None if stages is None else {_STAGES: sorted(stages | {stage})}
