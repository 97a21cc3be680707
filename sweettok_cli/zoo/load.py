"""From a model's name to its folder, and to a tokenizer that is ready to use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.models.registry import family_of, family_of_tokens, read_spec
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL, named_model
from sweettok_cli.zoo.local import find_local, find_model, find_named
from sweettok_cli.zoo.pull import pull_model

if TYPE_CHECKING:
    import torch

    from sweettok_cli.models.common.tokenizer import Tokenizer


def resolve_model(name_or_path: str, on_progress: Callable[[str], None] | None = None) -> Path:
    """The folder of a model: on this machine, or pulled there first if the catalogue knows its name.

    Repositories of others (``OWNER/REPO``) are not fetched unasked: ``sweettok models pull`` does that.

    ``on_progress`` is told what is fetched, from where and how large it is; by default that goes to stderr,
    with a progress bar for people.

    Raises:
        SweettokError: no such model, or it cannot be fetched.
    """
    found = find_local(name_or_path)
    if found is not None:
        return found
    if named_model(name_or_path) is None:
        return find_model(name_or_path)  # says what is wrong with it
    if on_progress is not None:
        return pull_model(name_or_path, say=on_progress).folder
    to_stderr = partial(print, file=sys.stderr, flush=True)
    return pull_model(name_or_path, say=to_stderr, bars=sys.stderr.isatty()).folder


def model_of_tokens(meta: TokenMeta, file: Path) -> str:
    """The model that a token file names: shipped, pulled, or to be had by that name.

    Anybody can write a name into a token file: folders are opened, and families fetched, only if the user
    names them.

    Raises:
        SweettokError: it is none of these, or of another family than the tokens; or theirs is not known here.
    """
    found, published = find_named(meta.model), named_model(meta.model)
    family = published.family if published is not None else meta.family
    if found is not None:
        family = ModelFolder(found).header.family
    if family != meta.family:
        raise SweettokError(
            f"{file} holds tokens of the family {brief(meta.family)}, but names the model {meta.model}, "
            f"which is of the family {brief(family)}; pass the model that encoded it with --model."
        )
    family_of_tokens(meta, str(file))
    if found is None and published is None:
        raise SweettokError(
            f"{file} was encoded by {brief(meta.model)}, which is no shipped or pulled model; pass that "
            "model's folder with --model."
        )
    return meta.model if found is None else str(found.absolute())


def load(
    name_or_path: str | Path = DEFAULT_MODEL,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    *,
    sample: int | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Tokenizer:
    """Load a tokenizer of any family; a named model that is not on this machine is fetched first.

    Args:
        name_or_path: a model's name (``sweettok models list``), or a model folder (``runs/x/model`` of a
            training run too).
        device: ``auto``, ``cpu``, ``cuda`` (``cuda:1``) or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``: the arithmetic of the network. Codes are
            compared in float32 whatever it is.
        sample: seed with which a model of continuous latents (VidTok KL) draws them from their distribution;
            by default they are its mean.
        on_progress: told what is fetched; by default that goes to stderr.

    Raises:
        SweettokError: no such model, device or number format; the model cannot be fetched, its folder is
            damaged, or it has nothing to draw.
    """
    folder = resolve_model(str(name_or_path), on_progress)

    def build(model: ModelFolder) -> Tokenizer:
        family, spec = family_of(model), read_spec(model)
        if sample is not None and spec.codebooks:
            raise SweettokError(
                f"{spec.name} has discrete codes, of which none is drawn; "
                "leave out the seed to draw with, or use a VidTok KL model."
            )
        # Torch takes seconds to import; an unknown name should be told at once.
        from sweettok_cli.runtime import pick_device, pick_dtype

        where = pick_device(str(device))
        form = pick_dtype(str(dtype).removeprefix("torch."), where)
        tokenizer = family.load(model, spec, where, form, sample)
        tokenizer.origin = model
        return tokenizer

    return read_folder(folder, build)
