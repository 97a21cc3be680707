"""V-JEPA's network against what Meta's code makes of the same weights, and what it is given for JEDi."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_vjepa import SMALL, filled, save_vjepa

from sweettok_cli.files import sha256_file
from sweettok_cli.metrics import NotMeasured
from sweettok_cli.metrics.extractors import JediFeatures
from sweettok_cli.metrics.network_files import SearchPath
from sweettok_cli.metrics.vjepa import AttentivePooler, VJepa, VJepaConfig

#: What vjepa 0.1.2 (the package that videojedi 1.1.0 takes its network from) gives for these weights.
PATCH = [-0.14399, -0.28117, 0.35557, -0.04289, -0.02446, -0.19212]
POOLED = [0.22088, 0.33851, 0.31722, -0.06746, -0.85469, 0.13642, 1.10788, -0.18684]


@torch.inference_mode()
def test_the_network_is_that_of_the_published_code() -> None:
    network, pooler = filled(VJepa(SMALL)), filled(AttentivePooler(SMALL))
    video = torch.sin(0.37 * torch.arange(3 * 4 * 32 * 32, dtype=torch.float64)).float()
    patches = network(video.reshape(1, 3, 4, 32, 32))
    assert patches.shape == (1, 8, 32)
    assert patches[0, 5, :6].tolist() == pytest.approx(PATCH, abs=2e-5)
    assert pooler(patches)[0, :8].tolist() == pytest.approx(POOLED, abs=2e-5)


def test_the_published_size() -> None:
    with torch.device("meta"):
        network, pooler = VJepa(VJepaConfig()), AttentivePooler(VJepaConfig())
    assert network.pos_embed.shape == (1, 1568, 1280) and len(network.blocks) == 32
    assert network.patch_embed.proj.weight.shape == (1280, 3, 2, 16, 16)
    assert pooler.cross_attention_block.xattn.kv.weight.shape == (2560, 1280)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(JediFeatures, "config", SMALL)
    return tmp_path


@torch.inference_mode()
def test_the_first_frames_are_normalised_and_resized(small: Path) -> None:
    network, pooler = save_vjepa(small)
    features = JediFeatures(SearchPath(small, online=False))
    clip = np.random.default_rng(0).integers(0, 256, (7, 16, 24, 3), dtype=np.uint8)
    frames = torch.from_numpy(clip[:4]).permute(3, 0, 1, 2)[None] / 255  # [1, 3, t, h, w]
    big = torch.nn.functional.interpolate(frames, (4, 32, 32), mode="trilinear", align_corners=False)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    video = (big - mean.view(1, 3, 1, 1, 1)) / spread.view(1, 3, 1, 1, 1)
    found = features.features(clip)
    assert found.dtype == np.float32 and found.shape == (1, 32)
    np.testing.assert_allclose(found, pooler(network(video)).numpy(), atol=1e-5)
    names = ("vith16.pth.tar", "ssv2-probe.pth.tar")
    assert features.hashes == {name: sha256_file(small / name) for name in names}


def test_files_are_brought_and_never_fetched(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr("sweettok_cli.metrics.network_files.urlopen", fetch)
    for folder in (None, small):
        with pytest.raises(
            NotMeasured, match=r"^vith16\.pth\.tar and ssv2-probe\.pth\.tar .* --features; fetch https"
        ):
            JediFeatures(SearchPath(folder))
    save_vjepa(small)
    (small / "vith16.pth.tar").unlink()
    with pytest.raises(NotMeasured, match=r"^vith16\.pth\.tar of V-JEPA .*/vith16/vith16\.pth\.tar \("):
        JediFeatures(SearchPath(small))


def test_another_network_under_the_name_is_refused(small: Path) -> None:
    save_vjepa(small, VJepaConfig(width=32, depth=3, heads=4, frames=4, side=32))
    with pytest.raises(NotMeasured, match=r"vith16\.pth\.tar is not the network .* also holds blocks\.2"):
        JediFeatures(SearchPath(small))
    save_vjepa(small, VJepaConfig(width=32, depth=2, heads=4, frames=8, side=32))
    with pytest.raises(NotMeasured, match="another shape of pos_embed"):
        JediFeatures(SearchPath(small))
    torch.save({"state_dict": {"x": torch.zeros(1)}}, small / "vith16.pth.tar")
    with pytest.raises(NotMeasured, match=r"vith16\.pth\.tar holds no tensors by name, but 'state_dict'"):
        JediFeatures(SearchPath(small))
