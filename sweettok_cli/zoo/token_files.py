"""Token files, plain and packed, with the token priors of the models on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.packing import prior as priors
from sweettok_cli.packing import token_file
from sweettok_cli.packing.file import PACKED, write_packed
from sweettok_cli.packing.prior import TokenPrior, prior_in
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.file import write_tokens as write_plain
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.zoo.local import find_model, find_named, local_models


def read_tokens(path: Path | str, *, model: Path | str | None = None) -> Tokens:
    """Read and check a token file, plain (``.npz``) or packed (``.swt``).

    Args:
        path: of the file.
        model: folder of a model whose token prior it may have been packed with, beside those that go by name.

    Raises:
        SweettokError: it is missing, no token file, damaged, its arrays do not bear out its description, or
            the prior that it was packed with is not on this machine.
    """
    return token_file.read_tokens(
        Path(path), partial(find_prior, folder=None if model is None else Path(model))
    )


def write_tokens(
    path: Path | str, tokens: Tokens, force: bool = False, *, model: Path | str | None = None
) -> None:
    """Write a token file: packed where its name ends in ``.swt``, else plain (``.npz``).

    Args:
        path: of the file.
        tokens: as a tokenizer's ``encode`` returns them.
        force: replace a file that is there.
        model: folder of the model whose token prior to pack with; by default that which they name.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written, or the tokens are not valid.
    """
    path = Path(path)
    if path.suffix.lower() != PACKED:
        write_plain(path, tokens, force)
        return
    write_packed(path, tokens, prior_of(tokens.meta, None if model is None else Path(model)), force)


def prior_of(meta: TokenMeta, folder: Path | None = None) -> TokenPrior | None:
    """The token prior of the model that encoded, if it is at hand and has one.

    Args:
        meta: of the tokens.
        folder: of that model; by default the one that goes by its name.

    Raises:
        SweettokError: the prior is damaged.
    """
    folder = folder or find_named(meta.model)
    prior = None if folder is None else prior_in(folder)
    return prior if prior is not None and prior.weights_sha256 == meta.weights_sha256 else None


def given_prior(model: str) -> Callable[[TokenMeta], TokenPrior]:
    """The token prior of a model that was named, for tokens of that model.

    Raises:
        SweettokError: there is no such model, it has none, or tokens are of another.
    """
    folder = find_model(model)
    prior = prior_in(folder)
    if prior is None:
        raise SweettokError(f"{folder} has no token prior; make one with `sweettok models prior`.")
    made_for = prior.weights_sha256

    def of(meta: TokenMeta) -> TokenPrior:
        if meta.weights_sha256 != made_for:
            raise SweettokError(
                f"The tokens of {meta.source or 'that file'} were encoded with weights "
                f"{meta.weights_sha256[:12]}, and the prior of {folder} is of {made_for[:12]}; name the "
                "model that encoded them."
            )
        return prior

    return of


def find_prior(meta: TokenMeta, sha256: str, folder: Path | None = None) -> TokenPrior:
    """The token prior of that SHA-256: of the model in ``folder``, or of any that goes by name.

    Raises:
        TokenFault: no model on this machine has it.
    """
    prior = priors.find_prior((folder, find_named(meta.model), *local_models().values()), sha256)
    if prior is None:
        where = "no model that goes by name" if folder is None else f"neither {folder} nor a model by name"
        raise TokenFault(
            f"was packed with the token prior {sha256[:12]} of {meta.model}, which {where} has; priors that "
            "were made anew do not read what was packed before",
            f"pass the folder of the model that has it with {option('model', 'FOLDER')}, or unpack it where "
            "it was packed",
        )
    return prior
