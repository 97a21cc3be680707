from __future__ import annotations

from pathlib import Path

import pytest
from small_network import small_network, word_prior

from sweettok_cli.weights_store.sweettok import save_model_folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, stored as a model."""
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model_folder(folder, small_network(), word_prior())
    return folder
