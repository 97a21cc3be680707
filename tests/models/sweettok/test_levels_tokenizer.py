"""A model with levels behind the tokenizer interface: videos and images of any size, budgets, files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange
from small_levels import busy_clips, levelled
from small_network import word_prior

import sweettok
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.models.sweettok import banded
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.packing.file import PackedFile, write_packed
from sweettok_cli.packing.prior import PRIOR_FILE, PriorLearner
from sweettok_cli.tokens import read_tokens, token_cost, write_tokens
from sweettok_cli.zoo.load import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "levelled"
    save_model_folder(made, levelled(), word_prior())
    return made


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return load(str(folder), device="cpu", dtype="float32")


def video(frames: int = 40, height: int = 64, width: int = 64) -> np.ndarray:
    """uint8 RGB [frames, height, width, 3]; busy on the right."""
    clips = busy_clips(-(-frames // 17), 17, height, width)
    pixels = rearrange((clips + 0.5) * 255, "b c t h w -> (b t) h w c")
    return pixels.round().to(torch.uint8).numpy()[:frames]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square((a.astype(float) - b) / 255).mean()))


def test_a_video_comes_back_from_its_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    source = video()
    tokens = tokenizer.encode(source)
    tokens.check()
    assert tokens.meta.version == 2 and tokens.meta.levels == {"temporal": 1, "detail": 3}
    write_tokens(tmp_path / "v.npz", tokens)
    found = read_tokens(tmp_path / "v.npz")
    assert found.meta == tokens.meta
    decoded = tokenizer.decode(found)
    assert decoded.shape == source.shape and np.array_equal(decoded, tokenizer.decode(tokens))


def test_a_video_comes_back_from_its_packed_file(folder: Path, tmp_path: Path) -> None:
    """With a token prior of videos, images and tokens without levels; and without."""
    made = Path(shutil.copytree(folder, tmp_path / "model"))
    tokenizer = load(str(made), device="cpu", dtype="float32")
    tokens, fixed = (tokenizer.encode(video(), budget=b) for b in (USUAL, Budget(fixed=True)))
    learner = PriorLearner(tokenizer.spec)
    for each in (tokens, fixed, tokenizer.encode(video(1)[0])):
        learner.add(each, "tokens")
    learner.prior().write(made / PRIOR_FILE)
    for name, each in (("levels", tokens), ("fixed", fixed)):
        plain, packed = tmp_path / f"{name}.npz", tmp_path / f"{name}.swt"
        sweettok.write_tokens(plain, each)
        sweettok.write_tokens(packed, each, model=made)
        assert np.array_equal(tokenizer.decode(packed), tokenizer.decode(plain))
        sweettok.write_tokens(tmp_path / "back.npz", sweettok.read_tokens(packed, model=made), force=True)
        assert (tmp_path / "back.npz").read_bytes() == plain.read_bytes()
        write_packed(tmp_path / "alone.swt", each, force=True)
        assert (
            PackedFile.open(packed).cost.coded_bits < PackedFile.open(tmp_path / "alone.swt").cost.coded_bits
        )
        assert sweettok.read_tokens(tmp_path / "alone.swt").meta == each.meta


def test_it_spends_no_more_than_without_levels_and_is_better(tokenizer: Tokenizer) -> None:
    source = video()
    fixed, free = (tokenizer.encode(source, budget=b) for b in (Budget(fixed=True), USUAL))
    assert fixed.meta.version == 1 and set(fixed.arrays) == {"spatial", "temporal"}
    usual = token_cost(fixed.meta).bits
    assert 0.9 * usual < token_cost(free.meta).bits <= usual
    assert tokenizer.decode(fixed).shape == source.shape


def test_budgets_buy_quality(tokenizer: Tokenizer) -> None:
    source = video()
    found = [tokenizer.encode(source, budget=Budget(tokens=n)) for n in (640, 1280, 2560, 5120)]
    costs = [token_cost(tokens.meta).bits for tokens in found]
    # Three clips of 64x64, the last filled up: a sixteenth of 256x256 each.
    usual = token_cost(tokenizer.encode(source, budget=Budget(fixed=True)).meta).bits
    assert all(cost <= usual * n / 1280 for cost, n in zip(costs, (640, 1280, 2560, 5120), strict=True))
    better = [psnr(source, tokenizer.decode(tokens)) for tokens in found]
    assert better == sorted(better) and better[-1] > better[0] + 1 and costs == sorted(set(costs))
    assert found[0].meta.budget == "640 tokens"
    aimed = tokenizer.encode(source, budget=Budget(psnr=better[2]))
    assert psnr(source, tokenizer.decode(aimed)) == pytest.approx(better[2], abs=0.7)


def test_batches_of_clips_are_rows_and_counts(tokenizer: Tokenizer) -> None:
    clips = video(102).reshape(6, 17, 64, 64, 3)
    arrays = tokenizer.encode_clips(clips)
    assert arrays["temporal_counts"].shape == (6, 64) and arrays["detail_counts"].shape == (6, 5, 8, 8)
    assert tokenizer.decode_clips(arrays, 64, 64).shape == clips.shape
    fixed = tokenizer.encode_clips(clips, Budget(fixed=True))
    assert {name: array.shape for name, array in fixed.items()} == {
        "spatial": (6, 16, 3),
        "temporal": (6, 64, 3),
    }
    assert tokenizer.decode_clips(fixed, 64, 64).shape == clips.shape
    few = tokenizer.encode_clips(clips, Budget(tokens=640))
    assert len(few["detail"]) + len(few["temporal"]) < len(arrays["detail"]) + len(arrays["temporal"])


def test_images_have_levels_too(tokenizer: Tokenizer) -> None:
    image = video(1)[0]
    usual, more = tokenizer.encode(image), tokenizer.encode(image, budget=Budget(tokens=1024))
    fixed = token_cost(tokenizer.encode(image, budget=Budget(fixed=True)).meta).bits
    assert fixed < token_cost(more.meta).bits <= 4 * fixed
    assert psnr(image, tokenizer.decode(more)) > psnr(image, tokenizer.decode(usual)) + 1


def test_bands_of_large_frames_are_the_whole_frame(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = video(17, 256, 64)
    whole = tokenizer.encode(source)
    decoded = tokenizer.decode(whole)
    monkeypatch.setattr(banded, "MOST_NUMBERS", 1)
    parts = tokenizer.encode(source)
    assert whole.arrays.keys() == parts.arrays.keys()
    # Sums in another order can tip a choice between two words that are equally near.
    for name in ("spatial", "temporal_counts", "detail_counts"):
        assert np.mean(whole.arrays[name] == parts.arrays[name]) > 0.95
    assert np.abs(tokenizer.decode(whole).astype(int) - decoded).max() <= 1


def test_a_model_without_levels_takes_no_budget(tmp_path: Path) -> None:
    from small_models import save_sweettok

    save_sweettok(tmp_path / "plain")
    plain = load(str(tmp_path / "plain"), device="cpu")
    for budget in (Budget(tokens=640), Budget(psnr=30)):
        with pytest.raises(SweettokError, match=r"plain gives every clip the same number"):
            plain.encode(video(17), budget=budget)
    assert plain.encode(video(17), budget=Budget(fixed=True)).meta == plain.encode(video(17)).meta


@pytest.mark.parametrize("budget", [640, "31dB", None])
def test_what_is_no_budget_is_said(tokenizer: Tokenizer, budget: object) -> None:
    with pytest.raises(TypeError, match=r"sweettok\.Budget"):
        tokenizer.encode(video(), budget=budget)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"sweettok\.Budget"):
        tokenizer.encode_clips(video(17)[None], budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [USUAL, Budget(tokens=700), Budget(psnr=25.0)], ids=str)
def test_clips_may_go_through_the_network_together(folder: Path, budget: Budget) -> None:
    """As they do on a GPU: most tokens are those of clips one by one, sums being rounded otherwise."""
    one, many = (load(str(folder), device="cpu", dtype="float32") for _ in range(2))
    many.batch_clips = 3
    calls: list[int] = []
    encode = many.network.encode  # type: ignore[attr-defined]
    many.network.encode = lambda video: (calls.append(len(video)), encode(video))[1]  # type: ignore[attr-defined]
    source = video(130, 60, 64)
    first, second = (each.encode(source, budget=budget) for each in (one, many))
    assert calls == ([3, 3, 1, 1] if budget.psnr is None else [1] * 8)  # the last clip is filled up
    assert second.meta.shapes == first.meta.shapes and second.meta.frames == 130
    assert np.array_equal(second.arrays["spatial"], first.arrays["spatial"])
    counts = [name for name in first.arrays if name.endswith("_counts")]
    assert np.mean([(second.arrays[name] == first.arrays[name]).mean() for name in counts]) > 0.99
    clips = np.stack([source[:17], source[17:34], source[34:51], source[51:68]])
    clips = np.pad(clips, [(0, 0), (0, 0), (0, 4), (0, 0), (0, 0)], mode="edge")
    alone, together = (each.encode_clips(clips, budget) for each in (one, many))
    for name in [*counts, "spatial"]:
        assert (together[name] == alone[name]).mean() > 0.99
