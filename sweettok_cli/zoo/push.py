"""Models for the Hub: what of a folder goes there, and the upload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import family_of
from sweettok_cli.packing.prior import PRIOR_FILE
from sweettok_cli.storage.hub import UnreachableError, endpoint, one_sentence, progress_bars
from sweettok_cli.storage.model_folder import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, ModelFolder, ModelHeader
from sweettok_cli.zoo.card import card_with_results, model_card
from sweettok_cli.zoo.local import split_repository
from sweettok_cli.zoo.verify import check_folder


@dataclass(frozen=True)
class Push:
    """A model folder that is fit for the Hub, and the repository and branch it goes to.

    ``files`` is what is sent, by name: a file of the folder, or a text that was made for it (the card).
    """

    header: ModelHeader
    repository: str
    revision: str
    files: dict[str, Path | str]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every file."""
        return {
            name: content.stat().st_size if isinstance(content, Path) else len(content.encode())
            for name, content in self.files.items()
        }

    @property
    def url(self) -> str:
        """Where the model can be looked at."""
        return f"{endpoint()}/{self.repository}"


def plan_push(
    folder: Path, repository: str, revision: str | None = None, record: Mapping[str, Any] | None = None
) -> Push:
    """Check a model folder and say what of it would go to the Hub; nothing is sent.

    Other files in the folder stay at home. The card is made if there is none.

    Args:
        folder: of the model.
        repository: OWNER/REPO.
        revision: a branch, made if missing; by default ``main``.
        record: of an evaluation (:func:`~sweettok_cli.zoo.card.read_record`), whose figures the card gets.

    Raises:
        SweettokError: the folder is damaged, the repository's name is none, or the record of other weights.
    """
    named = split_repository(repository)
    if named is None or named[1] is not None:
        raise SweettokError(
            f"{repository!r} is no name of a repository; give OWNER/REPO, and a branch as its revision."
        )
    try:
        check_folder(folder)
    except SweettokError as error:
        raise SweettokError(f"{str(error).rstrip('.')}; a damaged model is not sent.") from error
    model = ModelFolder(folder)
    names = [CONFIG_FILE, WEIGHTS_FILE, *family_of(model).extra_files]
    names += [PRIOR_FILE] if (folder / PRIOR_FILE).exists() else []
    card = folder / CARD_FILE
    files: dict[str, Path | str] = {name: folder / name for name in names}
    if not (card.exists() or card.is_symlink()):
        files[CARD_FILE] = model_card(model, repository, record)
    elif record is not None and card.is_file() and not card.is_symlink():
        files[CARD_FILE] = card_with_results(card.read_text(encoding="utf-8"), record, model.header)
    else:
        files[CARD_FILE] = card
    for name, content in files.items():
        if isinstance(content, Path) and (content.is_symlink() or not content.is_file()):
            raise SweettokError(
                f"{content} is a link or no file, and what it leads to may be private; copy it, or remove "
                f"{name} from the folder."
            )
    return Push(model.header, repository, revision or "main", files)


def push_model(
    push: Push,
    *,
    private: bool = False,
    bars: bool = False,
    token: str | bool | None = None,
    message: str | None = None,
) -> str:
    """Send a model: the repository is made if it is missing, all files arrive in one commit.

    Args:
        push: from :func:`plan_push`.
        private: make the repository private, if it is made now.
        bars: let ``huggingface_hub`` draw its progress bars on stderr.
        token: that may write; by default that of `hf auth login` or HF_TOKEN.
        message: of the commit.

    Returns:
        The commit's id.

    Raises:
        SweettokError: not logged in, no right to write there, or the network failed.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if not isinstance(token, str) and get_token() is None:
        raise SweettokError(
            f"You are not logged in to {endpoint()}; run `hf auth login`, or set HF_TOKEN to a token that "
            "may write."
        )
    additions = [
        CommitOperationAdd(name, content if isinstance(content, Path) else content.encode())
        for name, content in push.files.items()
    ]
    api = HfApi(token=token)
    try:
        with one_sentence(push.repository, revision=push.revision), progress_bars(bars):
            api.create_repo(push.repository, private=private or None, exist_ok=True)
            if push.revision != "main":
                api.create_branch(push.repository, branch=push.revision, exist_ok=True)
            commit = api.create_commit(
                push.repository,
                additions,
                commit_message=message or f"Upload {push.header.name}",
                revision=push.revision,
            )
    except UnreachableError as error:
        raise SweettokError(f"{error}; connect to the network, then push again.") from error
    except ValueError as error:  # how huggingface_hub reports a refused file or an answer it does not know
        raise SweettokError(f"{endpoint()} refuses the upload: {' '.join(str(error).split())}") from error
    return str(commit.oid)
