"""From a model's name to its folder, fetched if need be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from sweettok_cli.weights_store.catalogue import named_model
from sweettok_cli.weights_store.local import find_local, find_model
from sweettok_cli.weights_store.pull import pull_model


def resolve_model(name_or_path: str, on_progress: Callable[[str], None] | None = None) -> Path:
    """The folder of a model: on this machine, or pulled there first if the catalogue knows its name.

    Repositories of others (``OWNER/REPO``) are not fetched unasked: ``sweettok models pull`` does that.

    Args:
        name_or_path: a model's name, or a folder.
        on_progress: told what is fetched, from where and how large it is; by default that goes to stderr,
            with a progress bar for people.

    Raises:
        SweettokError: no such model, or it cannot be fetched.
    """
    found = find_local(name_or_path)
    if found is not None:
        return found
    if named_model(name_or_path) is None:
        return find_model(name_or_path)  # says what is wrong with it
    bars = on_progress is None and sys.stderr.isatty()
    return pull_model(name_or_path, say=on_progress or _to_stderr, bars=bars).folder


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
