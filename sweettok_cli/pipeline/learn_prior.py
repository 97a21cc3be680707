"""Token files to a token prior."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import read_spec
from sweettok_cli.packing.prior import PriorLearner, TokenPrior
from sweettok_cli.packing.token_file import ENDINGS
from sweettok_cli.pipeline.plan import find_sources
from sweettok_cli.runtime import Watcher
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.token_files import read_tokens


def learn_prior(inputs: Sequence[Path], model: Path, watch: Watcher) -> tuple[TokenPrior, int]:
    """Count the tokens of files and of all that folders hold.

    Args:
        inputs: token files of the model, plain or packed, and folders of them.
        model: its folder.
        watch: given each file's place, their number and its name.

    Returns:
        The prior, and the number of files.

    Raises:
        SweettokError: a file cannot be read, is of other weights or holds no indices, or there is none.
    """

    def refuse(source: Path, reason: str) -> None:
        raise SweettokError(reason)

    found = [found.source for found in find_sources(inputs, frozenset(ENDINGS), refuse)]
    if not found:
        raise SweettokError(f"{inputs[0]} holds no token file ({', '.join(ENDINGS)}); give those of a model.")
    learner = PriorLearner(read_spec(ModelFolder(model)))
    for place, source in enumerate(found):
        assert isinstance(source, Path)
        with watch(place, len(found), source.name) as on_progress:
            tokens = read_tokens(source, model=model)
            learner.add(tokens, str(source))
            on_progress(tokens.meta.clips, tokens.meta.clips)
    return learner.prior(), len(found)
