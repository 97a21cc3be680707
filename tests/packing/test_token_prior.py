"""A prior counts what came, is found by its digest, and is checked when it is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from packing.conftest import learned, settled_levels
from tokens.conftest import random_tokens

from sweettok_cli.errors import SweettokError
from sweettok_cli.packing.columns import CONTEXTS
from sweettok_cli.packing.counts import CONTEXTS as COUNT_CONTEXTS
from sweettok_cli.packing.prior import (
    FORMAT,
    PRIOR_FILE,
    PriorLearner,
    TokenPrior,
    find_prior,
    prior_in,
    read_prior,
)
from sweettok_cli.packing.scan import KINDS
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec


def save(path: Path, prior: TokenPrior, said: object = None, **changes: np.ndarray | None) -> Path:
    """The prior's file with some arrays, or what it says of itself, changed."""
    from safetensors.numpy import load, save

    arrays = load(prior.content)
    for name, array in changes.items():
        if array is None:
            del arrays[name]
        else:
            arrays[name] = array
    header = json.loads(prior.content[8 : 8 + int.from_bytes(prior.content[:8], "little")])
    metadata = header["__metadata__"] if said is None else {FORMAT: json.dumps(said)}
    path.write_bytes(save(arrays, metadata=metadata))
    return path


def test_comes_back(prior: TokenPrior, tmp_path: Path) -> None:
    path = tmp_path / PRIOR_FILE
    prior.write(path)
    found = read_prior(path)
    assert (found.sha256, found.weights_sha256) == (prior.sha256, prior.weights_sha256)
    assert dict(found.codebooks) == {"spatial": (5078, 5078, 5403), "temporal": (1872, 1872, 9267)}
    for name, starts in prior.starts.items():
        for expected, read in zip(starts, found.starts[name], strict=True):
            np.testing.assert_array_equal(read.counts, expected.counts)
            np.testing.assert_array_equal(read.hits, expected.hits)
            np.testing.assert_array_equal(read.misses, expected.misses)
    with pytest.raises(SweettokError, match="exists"):
        prior.write(path)


def test_counts_what_came(prior: TokenPrior) -> None:
    counts = prior.starts["temporal"][2].counts
    assert counts[:20].min() > 50 * counts[-1]
    hits, misses = prior.starts["temporal"][0].hits, prior.starts["temporal"][0].misses
    assert hits.max() > misses[hits.argmax()]  # most tokens are those of the clip before


def test_of_levels_there_are_counts_too(tmp_path: Path) -> None:
    prior = learned([settled_levels(seed) for seed in (1, 2)])
    prior.write(tmp_path / PRIOR_FILE)
    found = read_prior(tmp_path / PRIOR_FILE)
    assert found.levels == {"temporal": 1, "detail": 4}
    assert set(found.starts) == {"spatial", "temporal", "detail", "detail.2", "detail.3"}
    for name, start in prior.counts.items():
        np.testing.assert_array_equal(found.counts[name].hits, start.hits)
        np.testing.assert_array_equal(found.counts[name].misses, start.misses)

    def odds(name: str) -> np.ndarray:
        """Of a first token, by whether neighbours have one and whether the cell had, both known: [5, 2]."""
        start = found.counts[name]
        hits, misses = (
            each.astype(float).reshape(3, KINDS, 5, 2)[0, 2] for each in (start.hits, start.misses)
        )
        return hits / (hits + misses)

    assert odds("detail_counts")[0, 0] < 0.1 and odds("detail_counts")[4, 1] > 0.5
    assert 0.15 < odds("temporal_counts")[1, 0] < 0.45  # three in ten, wherever they are
    words = found.starts["detail"][0].counts.astype(int)
    assert words[:20].min() > 10 * words[-1]


def test_is_found_by_its_digest(prior: TokenPrior, tmp_path: Path) -> None:
    for name in ("empty", "broken", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / PRIOR_FILE).write_bytes(b"nothing")
    prior.write(tmp_path / "good" / PRIOR_FILE)
    folders = [None, *(tmp_path / name for name in ("missing", "empty", "broken", "good"))]
    found = find_prior(folders, prior.sha256)
    assert found is not None and found.content == prior.content
    assert find_prior(folders, "0" * 64) is None
    assert prior_in(tmp_path / "empty") is None


def test_of_continuous_latents_there_is_none() -> None:
    spec = TokenizerSpec(name="kl", layout=GridTokens(4, 8, channels=4))
    with pytest.raises(SweettokError, match="kl has continuous latents"):
        PriorLearner(spec)


def test_files_of_other_weights_are_refused() -> None:
    spec = TokenizerSpec(name="small", codebooks={"spatial": [8] * 3, "temporal": [8] * 3})
    with pytest.raises(SweettokError, match=r"a\.npz was encoded by sweettok-small with weights 0123"):
        PriorLearner(spec).add(random_tokens(), "a.npz")


ONES = np.ones(1872, "<u2")


@pytest.mark.parametrize(
    "changes",
    [
        {"temporal.0.counts": None},
        {"temporal.0.counts": ONES[1:]},
        {"temporal.0.counts": ONES.astype("<u4")},
        {"temporal.0.counts": ONES * 0},
        {"temporal.0.counts": ONES * 65535},
        {"temporal.0.hits": np.zeros(CONTEXTS, "<u2")},
        {"temporal.9.counts": ONES},
    ],
)
def test_damage_is_said(prior: TokenPrior, tmp_path: Path, changes: dict[str, np.ndarray | None]) -> None:
    path = save(tmp_path / "bad.safetensors", prior, **changes)
    with pytest.raises(SweettokError, match=r"bad\.safetensors is no token prior .*models prior"):
        read_prior(path)


@pytest.mark.parametrize("array", [None, np.ones(COUNT_CONTEXTS + 1, "<u2"), np.zeros(COUNT_CONTEXTS, "<u2")])
def test_damage_of_counts_is_said(tmp_path: Path, array: np.ndarray | None) -> None:
    prior = learned([settled_levels()])
    path = save(tmp_path / "bad.safetensors", prior, **{"detail_counts.hits": array})
    with pytest.raises(SweettokError, match=r"bad\.safetensors is no token prior"):
        read_prior(path)


@pytest.mark.parametrize(
    "said",
    [
        {"version": 2, "weights_sha256": "", "codebooks": {}},
        {"version": 1, "weights_sha256": "", "codebooks": {"temporal": [1 << 40]}},
        {"version": 1, "weights_sha256": "", "codebooks": [1]},
        {"version": 1, "weights_sha256": "", "codebooks": {}, "levels": {"detail": 4}},
        {"version": 1, "weights_sha256": "", "codebooks": {"detail": [4]}, "levels": {"detail": 256}},
        [],
    ],
)
def test_what_it_says_of_itself_is_checked(prior: TokenPrior, tmp_path: Path, said: object) -> None:
    with pytest.raises(SweettokError, match="is no token prior"):
        read_prior(save(tmp_path / "bad.safetensors", prior, said))


def test_other_files_are_none(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("counts")
    with pytest.raises(SweettokError, match="is no token prior"):
        read_prior(path)
    with pytest.raises(SweettokError, match=r"Cannot read the prior .*missing"):
        read_prior(tmp_path / "missing")
