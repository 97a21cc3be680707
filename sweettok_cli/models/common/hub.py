"""Tokenizers as the Hub's library knows models: ``from_pretrained``, ``save_pretrained``, ``push_to_hub``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import ModelCard, ModelHubMixin

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.hub import Access
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens.layout import TokenizerSpec


class HubTokenizer(ModelHubMixin, library_name="sweettok", pipeline_tag="video-to-video"):
    """The mixin of ``huggingface_hub`` for model folders, which have a format and checks of their own.

    What the methods do is in :mod:`sweettok_cli.zoo.pretrained`, which knows every family. They are looked
    for on the class, so this is the one file that imports from a floor above.
    """

    spec: TokenizerSpec
    #: The folder it was loaded from.
    origin: ModelFolder | None = None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make one, without the copy of its arguments that the mixin keeps as its configuration."""
        return object.__new__(cls)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        sample: int | None = None,
    ) -> Self:
        """Load a tokenizer, of any family where the class is ``Tokenizer`` itself.

        Args:
            pretrained_model_name_or_path: a repository of the Hub (OWNER/REPO), a model's folder, or a name
                that `sweettok models list` shows.
            revision: branch, tag or commit of a repository.
            cache_dir: folder of the Hub's cache.
            token: to show to the Hub; by default that of `hf auth login` or HF_TOKEN.
            force_download: fetch what the cache has, too.
            local_files_only: use what is on this machine, and fetch nothing.
            device: as of :func:`~sweettok_cli.zoo.load.load`, with ``dtype`` and ``sample``.

        Raises:
            SweettokError: there is no such model, it cannot be fetched, is damaged, or of another class.
        """
        from sweettok_cli.zoo.pretrained import open_pretrained

        name = str(pretrained_model_name_or_path)
        cache = None if cache_dir is None else Path(cache_dir)
        access = Access(token, cache, local_files_only, force_download)
        found = open_pretrained(name, revision, access, device=device, dtype=dtype, sample=sample)
        if not isinstance(found, cls):
            kind = type(found).__name__
            raise SweettokError(f"{name} is not {cls.__name__}, but {kind}; use Tokenizer.from_pretrained.")
        return found

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        record: str | Path | None = None,
        **push_settings: Any,
    ) -> str | None:
        """Write it as a model's folder, which every command and :meth:`from_pretrained` take.

        Args:
            save_directory: made if missing; files of a model in it are replaced.
            repo_id: OWNER/REPO that its card names; by default the folder's name.
            push_to_hub: also send it to ``repo_id``, with ``push_settings`` for :meth:`push_to_hub`.
            record: a file that `sweettok eval --json` wrote, whose figures the card gets.

        Returns:
            The commit's address, if it was sent.

        Raises:
            SweettokError: it cannot be written, or sent.
        """
        from sweettok_cli.zoo.pretrained import save_tokenizer

        folder = Path(save_directory)
        save_tokenizer(self, folder, repo_id or folder.name, record)
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id or folder.name, record=record, **push_settings)

    def push_to_hub(  # type: ignore[override]
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        private: bool = False,
        token: str | None = None,
        branch: str | None = None,
        record: str | Path | None = None,
    ) -> str:
        """Send it to the Hub, all files in one commit; the repository is made if it is missing.

        Args:
            repo_id: OWNER/REPO.
            commit_message: of the commit.
            private: make the repository private, if it is made now.
            token: that may write; by default that of `hf auth login` or HF_TOKEN.
            branch: made if it is missing; by default ``main``.
            record: a file that `sweettok eval --json` wrote, whose figures the card gets.

        Returns:
            The commit's address.

        Raises:
            SweettokError: not logged in, no right to write there, or the network failed.
        """
        from sweettok_cli.zoo.pretrained import push_tokenizer

        return push_tokenizer(
            self, repo_id, branch, record, message=commit_message, private=private, token=token
        )

    def generate_model_card(self, repo_id: str | None = None) -> ModelCard:
        """Its card, as :meth:`save_pretrained` writes it for ``repo_id``, OWNER/REPO.

        Raises:
            SweettokError: it was not loaded from a model's folder.
        """
        from sweettok_cli.zoo.pretrained import card_text

        return ModelCard(card_text(self, repo_id or self.spec.name))
