"""What the networks are given and what is taken from them, with made-up weights; with the published ones the
published value."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.files import sha256_file
from sweettok_cli.metrics import NotMeasured, extractors
from sweettok_cli.metrics.extractors import Inception, PortedI3D, ScriptedI3D
from sweettok_cli.metrics.frechet import FeatureDistance
from sweettok_cli.metrics.i3d import I3D
from sweettok_cli.metrics.inception import Inception2015
from sweettok_cli.metrics.network_files import SearchPath


def clip(frames: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(frames).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def alive(network: nn.Module) -> nn.Module:
    """With weights that let the input through to the end, as the usual beginning does not."""
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight)
    return network.eval()


def publish(kind: type, state: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SearchPath:
    """The state under the extractor's file name, taken for the published one."""
    path = folder / kind.file.name
    torch.save(state, path)
    monkeypatch.setattr(kind, "file", replace(kind.file, sha256=sha256_file(path)))
    return SearchPath(folder, online=False)


class Script(nn.Module):
    """Says what it was given: how many axes, its greatest value and the flags."""

    def forward(self, x: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:
        flags = [float(rescale), float(resize), float(return_features)]
        return torch.cat([x[0, :, 0, 0, 0], torch.tensor([float(x.shape[2])]), torch.tensor(flags)])[None]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_script_gets_all_values_and_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ScriptedI3D.file.name
    torch.jit.script(Script()).save(str(path))
    monkeypatch.setattr(ScriptedI3D, "file", replace(ScriptedI3D.file, sha256=sha256_file(path)))
    source = clip(12)
    found = ScriptedI3D(SearchPath(tmp_path, online=False)).features(source)
    assert found.dtype == np.float32
    assert found.tolist() == [[*source[0, 0, 0].astype(float), 12.0, 1.0, 1.0, 1.0]]


def test_a_script_that_is_not_pinned_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("loaded")

    (tmp_path / "i3d_torchscript.pt").write_bytes(b"a program")
    monkeypatch.setattr(torch.jit, "load", load)
    with pytest.raises(NotMeasured, match=r"is not the published i3d_torchscript\.pt"):
        ScriptedI3D(SearchPath(tmp_path, online=False))


@torch.inference_mode()
def test_the_port_gets_resized_frames_around_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = alive(I3D())
    extractor = PortedI3D(publish(PortedI3D, network.state_dict(), tmp_path, monkeypatch))
    source = clip(9)
    frames = torch.from_numpy(source).permute(3, 0, 1, 2)[None].float()  # [1, 3, t, h, w]
    big = F.interpolate(frames, size=(9, 224, 224), mode="trilinear", align_corners=False)
    expected = network(2 * big / 255 - 1).numpy()
    assert expected.shape == (1, 400)
    np.testing.assert_allclose(extractor.features(source), expected, atol=1e-3 * expected.std())


@torch.inference_mode()
def test_inception_gets_pictures_in_any_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = alive(Inception2015())
    state = network.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    extractor = Inception(publish(Inception, state, tmp_path, monkeypatch))
    monkeypatch.setattr(extractors, "PICTURES", 2)
    source = clip(3)
    frames = torch.from_numpy(source).permute(0, 3, 1, 2).float() / 255
    big = F.interpolate(frames, size=(299, 299), mode="bilinear", align_corners=False)
    found = extractor.features(source)
    assert found.shape == (3, 2048)
    expected = network(2 * big - 1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())


@pytest.mark.parametrize("kind", [ScriptedI3D, PortedI3D, Inception])
def test_without_weights_the_reason_names_the_file(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(kind, "file", replace(kind.file, sha256="0" * 64, hub=None))
    with pytest.raises(NotMeasured, match=f"^{kind.file.name} is not on this machine"):
        kind(SearchPath(tmp_path, online=False))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tolerance"), [(ScriptedI3D, 0.2), (PortedI3D, 8.0)])
def test_black_against_white_has_the_published_distance(kind: type, tolerance: float) -> None:
    """The example of JunyaoHu/common_metrics_on_video_quality: 8 clips of 30 frames of 64x64 each."""
    folder = os.environ.get("SWEETTOK_FEATURES")
    try:
        extractor = kind(SearchPath(Path(folder) if folder else None, online=False))
    except NotMeasured as reason:
        pytest.skip(str(reason))
    black, white = np.zeros((30, 64, 64, 3), np.uint8), np.full((30, 64, 64, 3), 255, np.uint8)
    distance = FeatureDistance("rfvd", extractor)
    kept = distance.add(black, white)
    assert distance.result([kept] * 8) == pytest.approx(151.2565, abs=tolerance)
