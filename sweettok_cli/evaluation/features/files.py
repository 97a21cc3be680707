"""The published weights that metrics stand on: which files exactly, where they are, under what terms.

A metric of learned features means something only with the very weights that everybody else uses. So each file
is pinned by its SHA-256, wherever it comes from; another file is refused and the metric reported as not
measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One file of weights.

    Attributes:
        names: what the file is called; the first is its published name.
        sha256: of its content.
        bytes: its size.
        license: of the weights.
        url: where it is published.
        hub: ``(kind, OWNER/REPO, commit, path)`` where that is the Hub, kind ``model`` or ``space``.
        shipped_in: ``(distribution, path)`` of Python packages that contain it.
    """

    names: tuple[str, ...]
    sha256: str
    bytes: int
    license: str
    url: str
    hub: tuple[str, str, str, str] | None = None
    shipped_in: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The published name."""
        return self.names[0]


def _on_hub(kind: str, repository: str, commit: str, path: str) -> tuple[str, tuple[str, str, str, str]]:
    prefix = "spaces/" if kind == "space" else ""
    url = f"https://huggingface.co/{prefix}{repository}/resolve/{commit}/{path}"
    return url, (kind, repository, commit, path)


_SCRIPT_URL, _SCRIPT_HUB = _on_hub(
    "model", "flateon/FVD-I3D-torchscript", "1c2d61711c52571ad617a1063e6fa691b212e184", "i3d_torchscript.pt"
)
_PORT_URL, _PORT_HUB = _on_hub(
    "space",
    "LanguageBind/Open-Sora-Plan-v1.0.0",
    "810fa8c4bdb3a4c8eec9bd57375c29bde6fb46de",
    "opensora/eval/fvd/videogpt/i3d_pretrained_400.pt",
)
_LPIPS_URL = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/"
    "082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1"
)


def _lpips_heads(net: str, sha256: str, size: int) -> Published:
    return Published(
        names=(f"lpips_{net}.pth", f"{net}.pth"),
        sha256=sha256,
        bytes=size,
        license="BSD-2-Clause",
        url=f"{_LPIPS_URL}/{net}.pth",
        shipped_in=(
            ("lpips", f"lpips/weights/v0.1/{net}.pth"),
            ("torchmetrics", f"torchmetrics/functional/image/lpips_models/{net}.pth"),
        ),
    )


I3D_TORCHSCRIPT = Published(
    names=("i3d_torchscript.pt",),
    sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
    bytes=51_235_320,
    license="Apache-2.0 (DeepMind's i3d-kinetics-400); the conversion by StyleGAN-V states none",
    url=_SCRIPT_URL,
    hub=_SCRIPT_HUB,
)
I3D_PORT = Published(
    names=("i3d_pretrained_400.pt",),
    sha256="55095f049e706479d48e221adcdb145b2b9dc930ba28b081ed72367ffaa32343",
    bytes=50_939_526,
    license="Apache-2.0 (DeepMind's i3d-kinetics-400); the conversion by VideoGPT is MIT",
    url=_PORT_URL,
    hub=_PORT_HUB,
)
INCEPTION_2015 = Published(
    names=(
        "pt_inception-2015-12-05-6726825d.pth",
        "weights-inception-2015-12-05-6726825d.pth",
    ),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    bytes=95_628_359,
    license="Apache-2.0",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
)
VGG16 = Published(
    names=("vgg16-397923af.pth",),
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    bytes=553_433_881,
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
)
ALEXNET = Published(
    names=("alexnet-owt-7be5be79.pth",),
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    bytes=244_408_911,
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)
LPIPS_VGG = _lpips_heads("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7289)
LPIPS_ALEX = _lpips_heads("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6009)

PUBLISHED = (I3D_TORCHSCRIPT, I3D_PORT, INCEPTION_2015, VGG16, ALEXNET, LPIPS_VGG, LPIPS_ALEX)
