"""LPIPS with made-up weights against a computation written down layer by layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.files import sha256_file
from sweettok_cli.metrics import NotMeasured, lpips
from sweettok_cli.metrics.lpips import SMALLEST, Backbone, Lpips, Net, load_lpips
from sweettok_cli.metrics.network_files import SearchPath

#: Convolutions by their numbers in torchvision's stacks: outputs, kernel, stride, padding; P is a pooling.
CONVOLUTIONS = {
    "vgg": {
        **dict.fromkeys((0, 2), (64, 3, 1, 1)),
        **dict.fromkeys((5, 7), (128, 3, 1, 1)),
        **dict.fromkeys((10, 12, 14), (256, 3, 1, 1)),
        **dict.fromkeys((17, 19, 21, 24, 26, 28), (512, 3, 1, 1)),
    },
    "alex": {
        0: (64, 11, 4, 2),
        3: (192, 5, 1, 2),
        6: (384, 3, 1, 1),
        8: (256, 3, 1, 1),
        10: (256, 3, 1, 1),
    },
}
POOLINGS = {"vgg": ((4, 9, 16, 23), 2), "alex": ((2, 5), 3)}
LAST = {"vgg": (2, 7, 14, 21, 28), "alex": (0, 3, 6, 8, 10)}


def made_up(net: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights under the names of the two published files."""
    generator = torch.Generator().manual_seed(0)
    backbone, channels = {}, 3
    for number, (width, kernel, _, _) in CONVOLUTIONS[net].items():
        spread = (2 / (channels * kernel**2)) ** 0.5
        shape = (width, channels, kernel, kernel)
        backbone[f"features.{number}.weight"] = torch.randn(shape, generator=generator) * spread
        backbone[f"features.{number}.bias"] = torch.randn(width, generator=generator) * 0.1
        channels = width
    backbone["classifier.0.weight"] = torch.zeros(2, 2)
    heads = {
        f"lin{depth}.model.1.weight": torch.rand(1, CONVOLUTIONS[net][last][0], 1, 1, generator=generator)
        for depth, last in enumerate(LAST[net])
    }
    return backbone, heads


def plain_lpips(net: str, first: np.ndarray, second: np.ndarray) -> float:
    """One pair of frames uint8 ``[h, w, 3]``, in float64."""
    backbone, heads = made_up(net)
    mean, deviation = (
        torch.tensor(values, dtype=torch.float64)[:, None, None]
        for values in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450])
    )
    x, y = (
        (torch.from_numpy(frame).double().permute(2, 0, 1)[None] / 255 * 2 - 1 - mean) / deviation
        for frame in (first, second)
    )
    total, depth = 0.0, 0
    pools, kernel = POOLINGS[net]
    for number in range(max(LAST[net]) + 1):
        if number in pools:
            x, y = (F.max_pool2d(side, kernel, 2) for side in (x, y))
        if number in CONVOLUTIONS[net]:
            _, _, stride, padding = CONVOLUTIONS[net][number]
            weight, bias = (backbone[f"features.{number}.{name}"].double() for name in ("weight", "bias"))
            x, y = (F.conv2d(side, weight, bias, stride, padding).clamp(min=0) for side in (x, y))
        if number in LAST[net]:
            one, two = (side / (side.norm(dim=1, keepdim=True) + 1e-10) for side in (x, y))
            weight = heads[f"lin{depth}.model.1.weight"].double()
            total += float(F.conv2d((one - two) ** 2, weight).mean())
            depth += 1
    return total


def save(net: str, folder: Path) -> tuple[Path, Path]:
    paths = folder / "backbone.pth", folder / "heads.pth"
    for state, path in zip(made_up(net), paths, strict=True):
        torch.save(state, path)
    return paths


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchPath:
    """Made-up weights of AlexNet, taken for the published ones."""
    paths = save("alex", tmp_path)
    files = [
        replace(file, names=(path.name,), sha256=sha256_file(path), shipped_in=())
        for file, path in zip(lpips.FILES["alex"], paths, strict=True)
    ]
    monkeypatch.setitem(lpips.FILES, "alex", tuple(files))
    return SearchPath(tmp_path, online=False)


def noisy_clip(frames: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    source = generator.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return source, (source + generator.normal(0, 20, source.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("net", "height", "width"), [("vgg", 34, 40), ("alex", 70, 63)])
def test_it_equals_the_plain_computation(net: Net, height: int, width: int, tmp_path: Path) -> None:
    network = load_lpips(net, *save(net, tmp_path))
    source, other = noisy_clip(2, height, width)
    x, y = (torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 127.5 - 1 for clip in (source, other))
    with torch.inference_mode():
        found = network(x, y)
    assert found.tolist() == pytest.approx(
        [plain_lpips(net, *pair) for pair in zip(source, other, strict=True)], rel=1e-4
    )


def test_a_clip_scores_the_mean_of_its_frames(publish: SearchPath) -> None:
    metric = Lpips("alex", publish)
    source, other = noisy_clip(6, 40, 48)  # more than go through at once
    expected = np.mean([plain_lpips("alex", *pair) for pair in zip(source, other, strict=True)])
    assert metric.measure(source, other) == {"lpips_alex": pytest.approx(expected, rel=1e-4)}
    assert metric.measure(source, source) == {"lpips_alex": 0.0}
    assert "AlexNet" in metric.definitions["lpips_alex"]


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_the_smallest_frames_have_something_left(net: Net) -> None:
    least = SMALLEST[net]
    backbone = Backbone(net)
    assert min(backbone(torch.zeros(1, 3, least, least))[-1].shape[2:]) == 1
    with pytest.raises(RuntimeError):
        backbone(torch.zeros(1, 3, least - 1, least - 1))


def test_smaller_frames_are_reported_and_left_out(publish: SearchPath) -> None:
    metric = Lpips("alex", publish)
    small = np.zeros((1, 30, 64, 3), np.uint8)
    assert metric.measure(small, small) == {}
    assert metric.unsuited(small.shape) == {
        "lpips_alex": "frames of 64x30 are too small; no side may be shorter than 31 pixels."
    }
    assert metric.unsuited((1, 31, 31, 3)) == {}


def test_heads_of_the_other_network_are_refused(tmp_path: Path) -> None:
    backbone, _ = save("alex", tmp_path)
    heads = tmp_path / "vgg-heads.pth"
    torch.save(made_up("vgg")[1], heads)
    with pytest.raises(NotMeasured, match=r"vgg-heads\.pth .* has another shape of weights\.1"):
        load_lpips("alex", backbone, heads)
    with pytest.raises(NotMeasured, match="does not hold LPIPS's five layers"):
        load_lpips("alex", backbone, backbone)
