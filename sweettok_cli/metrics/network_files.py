"""The published files of feature networks: which they are, where they are found, what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, sha256_file
from sweettok_cli.metrics.metric import NotMeasured
from sweettok_cli.storage.checkpoint_file import read_checkpoint
from sweettok_cli.storage.hub import address, one_sentence


@dataclass(frozen=True)
class Published:
    """One file of weights."""

    names: tuple[str, ...]  # what the file is called; the first is its published name
    sha256: str
    bytes: int
    license: str  # of the weights
    address: str = ""  # where it is published, unless on the Hub
    hub: tuple[str, str, str, str] | None = None  # kind (model or space), OWNER/REPO, commit, path
    shipped_in: tuple[tuple[str, str], ...] = ()  # (distribution, path) of Python packages that contain it

    @property
    def name(self) -> str:
        """The published name."""
        return self.names[0]

    @property
    def url(self) -> str:
        """Where it is published."""
        if self.hub is None:
            return self.address
        kind, repository, commit, path = self.hub
        prefix = "spaces/" if kind == "space" else ""
        return f"https://huggingface.co/{prefix}{repository}/resolve/{commit}/{path}"


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
        address=f"{_LPIPS_URL}/{net}.pth",
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
    hub=(
        "model",
        "flateon/FVD-I3D-torchscript",
        "1c2d61711c52571ad617a1063e6fa691b212e184",
        "i3d_torchscript.pt",
    ),
)
I3D_PORT = Published(
    names=("i3d_pretrained_400.pt",),
    sha256="55095f049e706479d48e221adcdb145b2b9dc930ba28b081ed72367ffaa32343",
    bytes=50_939_526,
    license="Apache-2.0 (DeepMind's i3d-kinetics-400); the conversion by VideoGPT is MIT",
    hub=(
        "space",
        "LanguageBind/Open-Sora-Plan-v1.0.0",
        "810fa8c4bdb3a4c8eec9bd57375c29bde6fb46de",
        "opensora/eval/fvd/videogpt/i3d_pretrained_400.pt",
    ),
)
INCEPTION_2015 = Published(
    names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    bytes=95_628_359,
    license="Apache-2.0",
    address="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
)
VGG16 = Published(
    names=("vgg16-397923af.pth",),
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    bytes=553_433_881,
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    address="https://download.pytorch.org/models/vgg16-397923af.pth",
)
ALEXNET = Published(
    names=("alexnet-owt-7be5be79.pth",),
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    bytes=244_408_911,
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    address="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)
CONVNEXT_SMALL = Published(
    names=("convnext_small-0c510722.pth",),
    sha256="0c510722adfd92966a2bd72b92f785ca05966bbac03cafe2f7a90b1f54bfab9a",
    bytes=201_000_000,
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    address="https://download.pytorch.org/models/convnext_small-0c510722.pth",
)
LPIPS_VGG = _lpips_heads("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7289)
LPIPS_ALEX = _lpips_heads("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6009)

PUBLISHED = (I3D_TORCHSCRIPT, I3D_PORT, INCEPTION_2015, VGG16, ALEXNET, CONVNEXT_SMALL, LPIPS_VGG, LPIPS_ALEX)


@dataclass(frozen=True)
class Unpinned:
    """A published file whose SHA-256 is not known here: never fetched, and held by its tensors' shapes."""

    name: str  # as published
    address: str
    part: str  # the name of the network in it
    license: str


VJEPA_H16, VJEPA_PROBE = (
    Unpinned(name, f"https://dl.fbaipublicfiles.com/jepa/vith16/{name}", part, "CC-BY-NC-4.0")
    for name, part in (("vith16.pth.tar", "target_encoder"), ("ssv2-probe.pth.tar", "classifier"))
)

_TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class SearchPath:
    """Where to look for weights."""

    folder: Path | None = None  # the user's, looked into first
    online: bool = True  # whether what is not on this machine may be fetched
    announce: Callable[[str], None] | None = None  # called with one sentence before something is fetched


class _NetworkError(Exception):
    """A network that fails; no OSError, which atomic outputs take for the disk's."""


def find(file: Published, search: SearchPath) -> Path:
    """The path of a published file whose content is the published one.

    Raises:
        NotMeasured: it cannot be had, or what lies under its name is another file.
    """
    found = find_here(file, search.folder)
    if found is not None:
        return found
    with _fetching(file, search):
        if search.announce:
            search.announce(f"Fetching {file.name} ({_megabytes(file)}) from {file.url}.")
        path = _from_hub(*file.hub) if file.hub else _from_url(file)
    return _checked(path, file)


def find_here(file: Published, folder: Path | None = None) -> Path | None:
    """As :func:`find`, on this machine only; None if it is not there."""
    found = next((path for path in _on_this_machine(file, folder) if path.is_file()), None)
    return None if found is None else _checked(found, file)


def find_brought(files: Sequence[Unpinned], search: SearchPath) -> list[Path]:
    """The paths of files that are never fetched, in the user's folder.

    Raises:
        NotMeasured: one is not there.
    """
    folder = search.folder or Path()
    paths = [folder / file.name for file in files]
    missing = [
        file for file, path in zip(files, paths, strict=True) if search.folder is None or not path.is_file()
    ]
    if missing:
        names, addresses = (" and ".join(getattr(f, key) for f in missing) for key in ("name", "address"))
        raise NotMeasured(
            f"{names} of V-JEPA must lie in a folder that you name with --features; fetch {addresses} "
            f"({missing[0].license})."
        )
    return paths


def ask_for(file: Published) -> str:
    """What fetching a file will be, its address asked whether it has one.

    Raises:
        NotMeasured: it cannot be fetched.
    """
    with _fetching(file, SearchPath()), urlopen(Request(file.url, method="HEAD"), timeout=_TIMEOUT):
        return f"{file.name} ({_megabytes(file)}) will be fetched from {file.url}"


@contextmanager
def _fetching(file: Published, search: SearchPath) -> Iterator[None]:
    """Around what the network may not allow.

    Raises:
        NotMeasured: it does not.
    """
    remedy = f"fetch {file.url} ({_megabytes(file)}) and put it into a folder that you name with --features."
    if not search.online or _offline():
        raise NotMeasured(f"{file.name} is not on this machine and nothing may be fetched; {remedy}")
    try:
        yield
    except NotMeasured:
        raise
    except (SweettokError, _NetworkError) as error:
        raise NotMeasured(f"{file.name} cannot be fetched: {str(error).rstrip('.')}; {remedy}") from error
    except (OSError, HTTPException) as error:
        raise NotMeasured(f"{file.name} cannot be fetched ({_words(error)}); {remedy}") from error


def _on_this_machine(file: Published, folder: Path | None) -> Iterator[Path]:
    import torch

    if folder is not None:
        yield from (folder / name for name in file.names)
    for name, path in file.shipped_in:
        try:
            yield Path(str(distribution(name).locate_file(path)))
        except PackageNotFoundError:
            continue
    cache = Path(torch.hub.get_dir(), "checkpoints")  # where torchvision and pytorch-fid keep theirs
    yield from (cache / name for name in file.names)
    if file.hub:
        from huggingface_hub import try_to_load_from_cache

        kind, repository, commit, path = file.hub
        found = try_to_load_from_cache(repository, path, revision=commit, repo_type=kind)
        if isinstance(found, str):
            yield Path(found)


def _checked(path: Path, file: Published) -> Path:
    found = sha256_file(path)
    if found != file.sha256:
        raise NotMeasured(
            f"{path} is not the published {file.name} (its SHA-256 begins {found[:12]}, not "
            f"{file.sha256[:12]}); figures would compare with no paper's. Remove it, or fetch {file.url}."
        )
    return path


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _from_hub(kind: str, repository: str, commit: str, path: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    hub = address()
    with one_sentence(repository, path, commit):
        # Asked for by itself first, because unlike the download it fails at once where there is no network.
        get_hf_file_metadata(hf_hub_url(repository, path, repo_type=kind, revision=commit, endpoint=hub))
        return Path(hf_hub_download(repository, path, repo_type=kind, revision=commit, endpoint=hub))


def _from_url(file: Published) -> Path:
    """Into the cache of torch hub, so that torchvision and others find it too."""
    import torch

    target = Path(torch.hub.get_dir(), "checkpoints", file.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with atomic_output(target, force=True) as part, open(part, "wb") as stream:
        for block in _received(file.url):
            digest.update(block)
            stream.write(block)
        if digest.hexdigest() != file.sha256:
            raise NotMeasured(
                f"{file.url} does not give the published {file.name} (its SHA-256 begins "
                f"{digest.hexdigest()[:12]}, not {file.sha256[:12]}); try again later, or fetch it elsewhere "
                "and name its folder with --features."
            )
    return target


def _received(url: str) -> Iterator[bytes]:
    """What an address gives, in blocks.

    Raises:
        _NetworkError: the network fails, which is not to be taken for the disk's failure.
    """
    try:
        with urlopen(url, timeout=_TIMEOUT) as answer:
            while block := answer.read(1 << 20):
                yield block
    except (OSError, HTTPException) as error:
        reason = _words(getattr(error, "reason", None) or error)
        raise _NetworkError(f"{urlsplit(url).hostname} cannot be reached ({reason})") from error


def _megabytes(file: Published) -> str:
    return f"{max(1, round(file.bytes / 1e6))} MB" if file.bytes >= 500_000 else f"{file.bytes} bytes"


def _words(error: object) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


Network = TypeVar("Network", bound=nn.Module)

#: Counts training steps; older files lack it and nothing computed here depends on it.
_COUNTER = "num_batches_tracked"


def read_state(path: Path, part: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file, or of a part of it, by name; nothing in the file is run.

    Raises:
        NotMeasured: the file cannot be read or holds no tensors.
    """
    try:
        return read_checkpoint(path, part=part).state
    except SweettokError as error:
        raise NotMeasured(str(error)) from error


def load_state(
    network: Network, state: dict[str, Tensor], path: Path, unused: tuple[str, ...] = ()
) -> Network:
    """The network with these weights, in evaluation mode and without gradients.

    Names in ``state`` that begin with one of ``unused`` belong to parts the network leaves out; ``path`` is
    for messages.

    Raises:
        NotMeasured: a tensor is missing, unknown or of another shape.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(_COUNTER)]
    unknown = [
        name
        for name in state
        if name not in wanted and not name.startswith(unused or ("\0",)) and not name.endswith(_COUNTER)
    ]
    misfits = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    for names, words in ((missing, "lacks"), (unknown, "also holds"), (misfits, "has another shape of")):
        if names:
            raise NotMeasured(
                f"{path} is not the network it should be: it {words} {names[0]}"
                f"{f' and {len(names) - 1} more' if len(names) > 1 else ''}; fetch the published file."
            )
    network.load_state_dict({**wanted, **{name: state[name] for name in wanted if name in state}})
    return network.eval().requires_grad_(False)
