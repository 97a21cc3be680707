"""The models that go by name: where each one's published weights lie, their sizes and licences.

File names, hashes and sizes are those of the Hub's own pages: huggingface.co/microsoft/VidTok and
huggingface.co/Daniel0724/OmniTokenizer. Sizes are rounded as the Hub rounds them; for the VidTok files whose
page was not seen they are 4 bytes a parameter and the 70 MB more that the other files have.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What commands use where no model is named; it is shipped.
DEFAULT_MODEL = "sweettok-small"

_MB = 1_000_000


@dataclass(frozen=True)
class NamedModel:
    """A model that can be asked for by name.

    Attributes:
        name: lower case, dashes, e.g. ``vidtok-fsq-causal-488-32768``.
        family: a key of :data:`sweettok_cli.models.registry.FAMILIES`.
        repository: where its weights are published on the Hub; empty for a model that is shipped.
        file: the published checkpoint in that repository.
        revision: a commit of that repository (40 digits), or a branch where no commit is known.
        bytes: size of that file, rounded; of the weights for a shipped model.
        sha256: of that file, where the Hub's page states it for this revision.
        code_license: of the code the weights were published with.
        note: what a user should know before pulling it.
        published: whether the repository was seen to hold the file.
    """

    name: str
    family: str
    repository: str
    file: str
    revision: str
    bytes: int
    sha256: str | None
    code_license: str
    weights_license: str
    paper: str
    note: str = ""
    published: bool = True

    @property
    def shipped(self) -> bool:
        """Whether it comes with the program."""
        return not self.repository

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit: what is fetched tomorrow is what is fetched today."""
        return self.shipped or re.fullmatch(r"[0-9a-f]{40}", self.revision) is not None


# Two of the published configurations had no file in the repository when its list was last seen.
_ABSENT = "settings without a file so far"

#: Published file without ending, size in megabytes, note.
_VIDTOK: tuple[tuple[str, int, str], ...] = (
    ("vidtok_fsq_causal_488_4096", 700, ""),
    ("vidtok_fsq_causal_488_32768", 700, ""),
    ("vidtok_fsq_causal_488_262144", 700, ""),
    ("vidtok_fsq_causal_41616_262144", 866, ""),
    ("vidtok_fsq_noncausal_488_262144", 700, ""),
    ("vidtok_fsq_noncausal_41616_262144", 866, ""),
    ("vidtok_kl_causal_288_8chn", 665, ""),
    ("vidtok_kl_causal_444_4chn", 690, ""),
    ("vidtok_kl_causal_488_4chn", 700, ""),
    ("vidtok_kl_causal_488_8chn", 701, ""),
    ("vidtok_kl_causal_488_16chn", 701, ""),
    ("vidtok_kl_causal_41616_4chn", 866, ""),
    ("vidtok_kl_noncausal_488_4chn", 700, ""),
    ("vidtok_kl_noncausal_488_16chn", 701, ""),
    ("vidtok_kl_noncausal_41616_4chn", 866, ""),
    ("vidtok_kl_noncausal_41616_16chn", 867, ""),
    ("vidtok_fsq_causal_488_32768_v1_1", 700, ""),
    ("vidtok_fsq_causal_888_32768_v1_1", 730, ""),
    ("vidtok_fsq_causal_41616_262144_v1_1", 866, _ABSENT),
    ("vidtok_kl_causal_288_8chn_v1_1", 665, ""),
    ("vidtok_kl_causal_488_4chn_v1_1", 700, _ABSENT),
    ("vidtok_kl_causal_488_16chn_v1_1", 701, ""),
    ("vidtok_kl_causal_41616_16chn_v1_1", 867, ""),
)

#: File without ending, size in megabytes, SHA-256; the *_vae files hold the continuous form.
_OMNI: tuple[tuple[str, int, str | None], ...] = (
    ("imagenet_only", 732, "591045d124b3a4252eab9c3693ec06ee3f76519c1d6e797b16238764c93eb585"),
    ("celebahq", 763, "a6ea12f90a159c765406a592cb66f9f1bc786a794882a58e9fcca9c4fb03448a"),
    ("ffhq", 763, "a69eab8693f8d5923f43d5d006b4a71957da30bd2b5522d52500e0cf2fc31097"),
    ("imagenet_ucf", 742, "e446a8fad9e085c8a73a91db9cdee45f7a5c00abe10516ce552c20985306691b"),
    ("imagenet_k600", 742, "0a1d9f863f874d2af57855951fa53b92cb0d5aea4f8bf2d8f91007e44b14c01c"),
    ("imagenet_mit", 853, "2c9555b8bdc670ce3f44fb759db83603a93d9b496400920362d31a84c902423d"),
    ("imagenet_sthv2", 742, "feaf65345a00e1ae140003e0baa93ca0517a332f9f01b5d71a1a8860baaabc08"),
    ("celebahq_ucf", 742, "d8881cf617e378837abd86c7aa8b24cd3a603f67853e7cb0da428ff87b2844f3"),
    ("celebahq_k600", 853, "f9c135a6a9938ba4ca80bb0c8c7b936e0b72e5e9fd98011988b11b14d4d304f8"),
    ("ffhq_ucf", 742, None),
    ("ffhq_k600", 853, "af8fc8cd213c46ae63ebb5859941b18ae175473ed177482170184a34291e8f9e"),
    ("imagenet_ucf_vae", 742, "53951a7b71ddb4d1e39a8dbcad6122ace89387c7f3a0f67b33e7116cf56eee89"),
    ("imagenet_k600_vae", 742, "d1f1dfc5ca56093945d1ecb45c6bedf0a9157ac80dbf0547e33294a02edeb777"),
)


def name_of(published: str) -> str:
    """The name under which a published file is known here.

    ``vidtok_kl_causal_488_4chn_v1_1.ckpt`` -> ``vidtok-kl-causal-488-4chn-v1.1``.
    """
    name = published.rsplit("/", 1)[-1].removesuffix(".ckpt").lower().replace("_", "-")
    return re.sub(r"-v(\d)-(\d)$", r"-v\1.\2", name)


def _vidtok(stem: str, megabytes: int, note: str) -> NamedModel:
    folder = "checkpoints/vidtok_v1_1" if stem.endswith("_v1_1") else "checkpoints"
    return NamedModel(
        name=name_of(stem),
        family="-".join(stem.split("_")[:2]),  # vidtok-fsq, vidtok-kl
        repository="microsoft/VidTok",
        file=f"{folder}/{stem}.ckpt",
        # The repository's history was rewritten in January 2025, and no full id of a commit that holds the
        # present files could be established: the newest known begins with 97eb9fb, the earlier ones
        # (c75454d..., dec87b4...) hold other files under the same names. The commit that was met is recorded
        # in the model.
        revision="main",
        bytes=megabytes * _MB,
        sha256=None,
        code_license="MIT",
        weights_license="MIT",
        paper="https://arxiv.org/abs/2412.13061",
        note=note,
        published=note != _ABSENT,
    )


def _omni(stem: str, megabytes: int, sha256: str | None) -> NamedModel:
    return NamedModel(
        name=f"omnitokenizer-{name_of(stem)}",
        family="omnitokenizer-vae" if stem.endswith("_vae") else "omnitokenizer",
        repository="Daniel0724/OmniTokenizer",
        file=f"{stem}.ckpt",
        revision="337629d5bcbec90492eed3ee9212e97bb5f6dd4a",
        bytes=megabytes * _MB,
        sha256=sha256,
        code_license="MIT",
        weights_license="MIT",
        paper="https://arxiv.org/abs/2406.09399",
        # The published first stage trains on images alone and, by its script, without rotary positions: such
        # a file is refused when it is converted.
        note="images only" if stem in ("imagenet_only", "celebahq", "ffhq") else "",
    )


_SHIPPED = NamedModel(
    name=DEFAULT_MODEL,
    family="sweettok",
    repository="",
    file="model.safetensors",
    revision="",
    bytes=38 * _MB,
    sha256=None,
    code_license="MIT",
    weights_license="other, see its card",
    paper="https://arxiv.org/abs/2412.10443",
)

#: Every named model, the shipped one first.
CATALOGUE = (_SHIPPED, *(_omni(*row) for row in _OMNI), *(_vidtok(*row) for row in _VIDTOK))

_BY_NAME = {model.name: model for model in CATALOGUE}


def named_model(name: str) -> NamedModel | None:
    """The model of that name, if there is one."""
    return _BY_NAME.get(name)


def suggestions(name: str, also: Iterable[str] = ()) -> list[str]:
    """The known names that are most like a misspelt one, at most three, best first.

    Args:
        name: what was asked for; the name of a published file is understood.
        also: names beside those of the catalogue.
    """
    wanted = name_of(name)
    known = sorted({*_BY_NAME, *also})
    exact = [each for each in known if each in (wanted, f"omnitokenizer-{wanted}")]
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.7)
    return exact[:1] or close or [each for each in known if each.startswith(f"{wanted}-")][:3]
