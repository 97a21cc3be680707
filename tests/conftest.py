"""Where the tests find clips and golden tensors."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from sweettok_cli.runtime import let_waiting_threads_sleep, use_one_blas_thread

if TYPE_CHECKING:
    from sweettok_cli.training.recipe import Recipe

# As the command line does, before torch and NumPy load, here and in the processes that tests start.
let_waiting_threads_sleep()
use_one_blas_thread()

# Processes that tests start write as those of users do, in whole buffers.
os.environ.pop("PYTHONUNBUFFERED", None)

# Nothing fails because the machine is busy.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def examples() -> Path:
    """The shipped clips."""
    return ROOT / "examples"


def reference_root() -> Path:
    """Golden tensors of the published networks: $SWEETTOK_REFERENCE, or the folder beside the checkout."""
    return Path(os.environ.get("SWEETTOK_REFERENCE", ROOT.parent / "shared" / "reference" / "public"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` are skipped, and say so, where torch finds no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, stored as a model."""
    from small_network import small_network, word_prior

    from sweettok_cli.models.sweettok.folder import save_model_folder

    folder = tmp_path_factory.mktemp("models") / "small"
    save_model_folder(folder, small_network(), word_prior())
    return folder


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model of every family and kind by its name, see :mod:`small_models`; only to be read."""
    from small_models import SAVE

    root = tmp_path_factory.mktemp("families")
    for name, save in SAVE.items():
        save(root / name)
    return {name: root / name for name in SAVE}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three clips and a tar shard with three more, one of them shorter than a sample."""
    from small_run import write_clip

    folder = tmp_path_factory.mktemp("clips")
    shelf = tmp_path_factory.mktemp("shelf")
    (folder / "inner").mkdir()
    for i in range(3):
        write_clip(folder / "inner" / f"loose{i}.mp4", i)
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for i in range(3):
            write_clip(shelf / f"packed{i}.mp4", 10 + i, frames=9 if i == 2 else 30)
            data = (shelf / f"packed{i}.mp4").read_bytes()
            member = tarfile.TarInfo(f"packed{i}.mp4")
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    (folder / "notes.txt").write_text("no clip")
    return folder


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip of 64x48."""
    from small_run import write_clip

    folder = tmp_path_factory.mktemp("small")
    write_clip(folder / "small.mp4", 5, width=64, height=48)
    return folder


@pytest.fixture(scope="session")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word prior of a few dozen words with random vectors."""
    from small_network import word_prior

    from sweettok_cli.codebook.prior import save_prior

    folder = tmp_path_factory.mktemp("words") / "prior"
    save_prior(word_prior(), folder)
    return folder


@pytest.fixture
def tiny() -> Recipe:
    """Six steps of the tiny network on 64-pixel crops, in float32."""
    from small_run import tiny_values

    from sweettok_cli.training.recipe_file import recipe_from

    return recipe_from(tiny_values(), "test")


@pytest.fixture
def one_run_a_process() -> Iterator[None]:
    """Accelerate keeps the precision of a process' first run."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def without_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network of features is found, and none is fetched."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
