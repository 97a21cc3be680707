from __future__ import annotations

import dataclasses
import json
import math

import pytest

from sweettok_cli.models.vidtok.config import VidTokConfig

PUBLISHED = [
    *(f"kl-causal-{s}" for s in ("288-8chn", "41616-4chn", "444-4chn", "488-4chn", "488-8chn", "488-16chn")),
    *(f"kl-noncausal-{s}" for s in ("41616-4chn", "41616-16chn", "488-4chn", "488-16chn")),
    *(f"fsq-causal-{s}" for s in ("41616-262144", "488-262144", "488-32768", "488-4096")),
    *(f"fsq-noncausal-{s}" for s in ("41616-262144", "488-262144")),
    *(f"kl-causal-{s}-v1.1" for s in ("488-16chn", "488-4chn", "41616-4chn", "288-8chn", "444-4chn")),
    *(f"fsq-causal-{s}-v1.1" for s in ("41616-262144", "488-32768", "888-32768")),
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_name(name: str) -> None:
    config = VidTokConfig.from_name("vidtok-" + name)
    kind, order, shape, size = name.split("-")[:4]
    assert config.regularizer == kind
    assert config.causal == (order == "causal")
    assert config.version == ("1.1" if name.endswith("v1.1") else "1.0")
    assert f"{config.time_factor}{config.space_factor}{config.space_factor}" == shape
    if kind == "kl":
        assert (f"{config.channels}chn", config.encoder_channels) == (size, 2 * config.channels)
    else:
        assert str(config.codes) == str(math.prod(config.fsq_levels)) == size
        assert config.encoder_channels == config.channels


@pytest.mark.parametrize("name", PUBLISHED)
def test_survives_json(name: str) -> None:
    config = VidTokConfig.from_name("vidtok-" + name)
    table = json.loads(json.dumps(dataclasses.asdict(config)))
    assert VidTokConfig(**table) == config


def test_encoder_and_decoder_of_41616_are_no_mirror_images() -> None:
    config = VidTokConfig.from_name("vidtok-kl-causal-41616-4chn")
    assert config.temporal_down == (2, 3)
    assert config.temporal_up == (1, 2)


@pytest.mark.parametrize(
    "name",
    [
        "vidtok-kl-causal-488-4096",
        "vidtok-fsq-causal-488-4chn",
        "vidtok-fsq-causal-488-4097",
        "vidtok-fsq-causal-488-1",
        "vidtok-fsq-causal-489-4096",
        "vidtok-fsq-causal-488-4096-v1.2",
        "vidtok-kl-noncausal-488-4chn-v1.1",
        "kl-causal-488-4chn",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        VidTokConfig.from_name(name)


@pytest.mark.parametrize(
    "change",
    [
        {"regularizer": "lfq"},
        {"version": "2"},
        {"version": "1.1", "causal": False},
        {"spatial_down": [0, 1, 4]},
        {"temporal_down": (2, 3)},
        {"temporal_up": (0, 1)},
        {"spatial_up": (1, 2)},
    ],
)
def test_contradictions_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        VidTokConfig(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "frames", "front"),
    [
        ("kl-causal-488-4chn", 17, 3),
        ("kl-causal-488-4chn", 16, 0),
        ("kl-causal-488-4chn", 1, 3),
        ("kl-causal-288-8chn", 17, 1),
        ("kl-causal-488-4chn-v1.1", 17, 3),
        ("kl-causal-488-4chn-v1.1", 14, 2),
        ("kl-causal-488-4chn-v1.1", 16, 0),
        ("fsq-causal-888-32768-v1.1", 17, 7),
        ("kl-noncausal-488-4chn", 16, 0),
    ],
)
def test_frames_in_front(name: str, frames: int, front: int) -> None:
    assert VidTokConfig.from_name("vidtok-" + name).frames_in_front(frames) == front


@pytest.mark.parametrize(
    ("name", "frames"),
    [("kl-causal-488-4chn", 14), ("kl-causal-488-4chn", 0), ("kl-noncausal-488-4chn", 17)],
)
def test_frame_counts_that_are_refused(name: str, frames: int) -> None:
    with pytest.raises(ValueError, match="frame"):
        VidTokConfig.from_name("vidtok-" + name).frames_in_front(frames)
