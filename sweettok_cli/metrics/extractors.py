"""From 8-bit clips to feature vectors, scaled and resized as in each network's published use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.files import sha256_file
from sweettok_cli.metrics import i3d, inception
from sweettok_cli.metrics.metric import NotMeasured
from sweettok_cli.metrics.network_files import (
    I3D_PORT,
    I3D_TORCHSCRIPT,
    INCEPTION_2015,
    VJEPA_H16,
    VJEPA_PROBE,
    Published,
    SearchPath,
    find,
    find_brought,
    load_state,
    read_state,
)
from sweettok_cli.metrics.vjepa import AttentivePooler, VJepa, VJepaConfig

LEAST_VIDEO_FRAMES = 10
"""Frames of the shortest clip that an FVD is given for, as in common_metrics_on_video_quality."""

#: That go through the picture network at once.
PICTURES = 16


class Extractor(ABC):
    """Turns clips into vectors.

    Attributes:
        file: whose weights it uses.
        words: for definitions: the network, what it is given, what is taken from it.
        size: numbers in a vector.
        least_frames: of a clip.

    Args:
        search: where to look for the file.
        device: to compute on.

    Raises:
        NotMeasured: the file cannot be had, or this torch cannot load it.
    """

    file: Published
    words: str
    size: int
    least_frames = LEAST_VIDEO_FRAMES

    def __init__(self, search: SearchPath, device: torch.device | str = "cpu") -> None:
        self._network: Any = self.load(find(self.file, search)).to(device)
        self._device = device

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the weights' files, by their published names."""
        return {self.file.name: self.file.sha256}

    @abstractmethod
    def load(self, path: Path) -> nn.Module:
        """The network with the weights of the file, in evaluation mode, on the CPU."""

    @abstractmethod
    def features(self, clip: np.ndarray) -> np.ndarray:
        """Float32 ``[n, size]`` of a clip uint8 ``[t, h, w, 3]``: n is 1, or t for networks of pictures."""


class ScriptedI3D(Extractor):
    """StyleGAN-V's TorchScript I3D, which scales and resizes by itself.

    A TorchScript file is a program. It is loaded only after its SHA-256 has been found to be the pinned one.
    """

    file = I3D_TORCHSCRIPT
    words = (
        "400 logits of the I3D in i3d_torchscript.pt (StyleGAN-V), called with resize, rescale and "
        "return_features on 8-bit frames"
    )
    size = i3d.CLASSES

    def load(self, path: Path) -> nn.Module:
        """As :meth:`Extractor.load`."""
        try:
            return torch.jit.load(path, map_location="cpu").eval()
        except (RuntimeError, AttributeError) as error:
            raise NotMeasured(f"{path} cannot be loaded by torch {torch.__version__} ({error}).") from error

    @torch.inference_mode()
    def features(self, clip: np.ndarray) -> np.ndarray:
        """Float32 ``[1, 400]``."""
        video = _frames(clip, self._device).transpose(0, 1)[None]  # [1, 3, t, h, w] in [0, 255]
        return _array(self._network(video, rescale=True, resize=True, return_features=True))


class PortedI3D(Extractor):
    """The I3D of ``i3d_pretrained_400.pt``, fed as in the FVD code of OmniTokenizer and SweetTok."""

    file = I3D_PORT
    words = (
        "400 logits of the I3D in i3d_pretrained_400.pt (VideoGPT), frames resized bilinearly to 224x224, "
        "values in [-1, 1]"
    )
    size = i3d.CLASSES

    def load(self, path: Path) -> nn.Module:
        """As :meth:`Extractor.load`."""
        return load_state(i3d.I3D(), read_state(path), path)

    @torch.inference_mode()
    def features(self, clip: np.ndarray) -> np.ndarray:
        """Float32 ``[1, 400]``."""
        frames = resized(_frames(clip, self._device), i3d.SIDE) / 127.5 - 1
        return _array(self._network(frames.transpose(0, 1)[None]))  # [1, 3, t, 224, 224]


class Inception(Extractor):
    """Inception-2015 fed as pytorch-fid feeds it."""

    file = INCEPTION_2015
    words = (
        "2048 features before the classifier of Inception-2015 (pytorch-fid's weights and resizing: "
        "bilinearly to 299x299, values in [-1, 1])"
    )
    size = inception.FEATURES
    least_frames = 1

    def load(self, path: Path) -> nn.Module:
        """As :meth:`Extractor.load`."""
        return load_state(inception.Inception2015(), read_state(path), path, inception.UNUSED)

    @torch.inference_mode()
    def features(self, clip: np.ndarray) -> np.ndarray:
        """Float32 ``[t, 2048]``."""
        found = []
        for start in range(0, len(clip), PICTURES):
            pictures = resized(_frames(clip[start : start + PICTURES], self._device) / 255, inception.SIDE)
            found.append(_array(self._network(2 * pictures - 1)))
        return np.concatenate(found)


class JediFeatures(Extractor):
    """The V-JEPA ViT-H/16 and its pooler for Something-Something v2, as in the published code of JEDi.

    The files' content is not pinned; they are held by their tensors' names and shapes. That code leaves the
    number of frames and their size to its caller; here they are those that the network was trained on, so
    that no position is interpolated.
    """

    config = VJepaConfig()
    words = (
        "pooled output of V-JEPA's ViT-H/16 (vith16.pth.tar, ssv2-probe.pth.tar), the first 16 frames "
        "resized bilinearly to 224x224, values normalised as ImageNet's"
    )
    size = config.width
    least_frames = config.frames

    def __init__(self, search: SearchPath, device: torch.device | str = "cpu") -> None:
        paths = find_brought((VJEPA_H16, VJEPA_PROBE), search)
        self._network = self.load(paths[0]).to(device)
        state = read_state(paths[1], VJEPA_PROBE.part)
        own = {name.removeprefix("pooler."): value for name, value in state.items()}
        self._pooler = load_state(AttentivePooler(self.config), own, paths[1], ("linear.",)).to(device)
        self._hashes = {path.name: sha256_file(path) for path in paths}
        self._device = device

    @property
    def hashes(self) -> dict[str, str]:
        """As :attr:`Extractor.hashes`."""
        return self._hashes

    def load(self, path: Path) -> nn.Module:
        """As :meth:`Extractor.load`."""
        state = read_state(path, VJEPA_H16.part)
        own = {name.removeprefix("backbone."): value for name, value in state.items()}
        return load_state(VJepa(self.config), own, path)

    @torch.inference_mode()
    def features(self, clip: np.ndarray) -> np.ndarray:
        """Float32 ``[1, 1280]``."""
        frames = resized(_frames(clip[: self.config.frames], self._device), self.config.side) / 255
        mean, spread = (torch.tensor(each, device=self._device)[:, None, None] for each in _IMAGENET)
        video = ((frames - mean) / spread).transpose(0, 1)[None]  # [1, 3, t, side, side]
        return _array(self._pooler(self._network(video)))


#: Mean and standard deviation of red, green and blue in [0, 1].
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resized(frames: Tensor, side: int) -> Tensor:
    """``[t, 3, h, w]`` squashed to squares, bilinear between the nearest four pixels, no smoothing first."""
    return F.interpolate(frames, size=(side, side), mode="bilinear", align_corners=False)


def _frames(clip: np.ndarray, device: torch.device | str) -> Tensor:
    """Uint8 ``[t, h, w, 3]`` -> float32 ``[t, 3, h, w]`` in [0, 255]."""
    frames = torch.from_numpy(np.ascontiguousarray(clip)).to(device)
    return frames.permute(0, 3, 1, 2).float()


def _array(features: Tensor) -> np.ndarray:
    return features.float().cpu().numpy()
