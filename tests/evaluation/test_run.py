"""A whole measurement over real files."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from measuring import colour_distance, fill, film, make_plan, measure
from ragged_tokenizer import RaggedTokenizer
from running_tokenizer import RunningTokenizer
from torch import Tensor

from sweettok_cli.evaluation.protocol import Protocol, SpatialFit, find_protocol
from sweettok_cli.evaluation.run import Media
from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.metrics.comparison import Comparison
from sweettok_cli.metrics.psnr import Psnr, decibels
from sweettok_cli.models.common.tokenizer import decode_frames
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens.layout import token_cost
from sweettok_cli.tokens.ragged import token_map
from sweettok_cli.video import VideoReader

BITS_PER_TILE = 16 * 3 * 8 + 64 * 3 * math.log2(511)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return fill(tmp_path_factory.mktemp("shared") / "clips")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "clips")


def test_every_frame_is_scored_at_its_own_size(shared: Path, tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    tokens = encode_video(shared / "b.mp4", tokenizer)
    comparison = Comparison()
    with VideoReader(shared / "b.mp4") as reader:
        source = [frame.rgb for frame in reader]
    decoded = list(decode_frames(tokens, tokenizer))
    for number, pair in enumerate(zip(source, decoded, strict=True)):
        comparison.add(*pair, number == 17)
    record, _ = measure(make_plan(shared / "b.mp4"), tmp_path)
    (clip,) = record["clips"]
    scores = clip["scores"]["blocks"]
    assert (clip["name"], clip["width"], clip["height"], clip["frames"]) == ("b.mp4", 70, 50, 20)
    assert scores["psnr"] == pytest.approx(np.mean(comparison.psnr), abs=1e-12)
    assert scores["ssim"] == pytest.approx(np.mean(comparison.ssim), abs=1e-12)
    # 17 frames and 3 were measured apart, but the clip's own error is that of all 20.
    whole = Psnr(("psnr_clip",)).measure(np.stack(source), np.stack(decoded))
    assert scores["psnr_clip"] == pytest.approx(whole["psnr_clip"], abs=1e-12)
    assert scores["seam_flicker"] == comparison.flicker.ratio
    cost = token_cost(tokens.meta)
    assert (scores["tokens"], scores["indices"]) == (cost.tokens, cost.indices)
    assert scores["bits"] == pytest.approx(cost.bits)
    assert scores["bits_per_pixel"] == pytest.approx(cost.bits_per_pixel)
    assert scores["kbit_per_second"] == pytest.approx(cost.kbit_per_second)


def test_the_set_is_the_mean_of_all_frames_or_of_all_clips(shared: Path, tmp_path: Path) -> None:
    record, found = measure(make_plan(shared), tmp_path)
    scores = [clip["scores"]["blocks"] for clip in record["clips"]]
    assert [clip["name"] for clip in record["clips"]] == ["b.mp4", "below/a.MOV", "c.png"]
    assert (record["data"]["clips"], record["data"]["frames"]) == (3, 24)
    (model,) = record["contenders"]
    summary = model["summary"]
    weights = np.array([20, 3, 1]) / 24
    for name in ("psnr", "ssim", "psnr_clip"):
        values = [each[name] for each in scores]
        assert summary[name]["value"] == pytest.approx(weights @ values)
        assert summary[name]["mean_of_clips"] == pytest.approx(np.mean(values))
        assert summary[name]["low"] <= summary[name]["value"] <= summary[name]["high"]
    by_clips, _ = measure(make_plan(shared, protocol=Protocol("x", average="clips")), tmp_path)
    assert by_clips["contenders"][0]["summary"]["psnr"]["value"] == pytest.approx(
        summary["psnr"]["mean_of_clips"]
    )
    errors = sum(clip.methods["blocks"].scores.square_error for clip in found.clips)
    values = 3 * (20 * 70 * 50 + 3 * 64 * 64 + 30 * 90)
    assert summary["psnr_global"]["value"] == decibels(errors / values)
    assert summary["psnr_global"]["low"] < summary["psnr_global"]["value"] < summary["psnr_global"]["high"]

    bits = 5 * BITS_PER_TILE + 2 * 16 * 24
    assert model["cost"]["bits"] == pytest.approx(bits) and model["cost"]["clips"] == 4
    assert summary["bits_per_pixel"]["value"] == pytest.approx(3 * bits / values)
    assert summary["kbit_per_second"]["value"] == pytest.approx(5 * BITS_PER_TILE / 1000 / (23 / 25))
    assert summary["kbit_per_second"]["clips"] == 2
    assert model["cost"]["clip_256"]["tokens"] == {"spatial": 256, "temporal": 1024}
    assert model["cost"]["clip_256"]["indices"] == 3840
    assert model["cost"]["clip_256"]["kbit"] == pytest.approx(16 * BITS_PER_TILE / 1000)
    assert summary["seam_flicker"]["value"] != scores[0]["seam_flicker"]  # the short clip's inside counts too
    assert scores[2]["seam_flicker"] is None and scores[2]["kbit_per_second"] is None
    json.dumps(record, allow_nan=False)


def test_codebook_use_is_counted_over_the_whole_set(shared: Path, tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    words = CodeCounts(tokenizer.spec.codebooks)
    for name in ("b.mp4", "below/a.MOV", "c.png"):
        words.add(encode_video(shared / name, tokenizer).arrays)
    record, _ = measure(make_plan(shared), tmp_path)
    lists = record["contenders"][0]["codebooks"]
    for part, use in words.use().items():
        found = lists[part]
        assert {key: found[key] for key in vars(use)} == vars(use)
        assert found["entropy_bits"] == pytest.approx(math.log2(use.perplexity))
        assert sum(each["codes"] for each in found["histogram"]) == use.size
        assert found["histogram"][0]["codes"] == use.size - use.used
        counts = words.counts[part]
        assert found["top"][0] == {"index": int(counts.argmax()), "word": None, "count": int(counts.max())}
        assert found["occurrences"] == counts.sum()


def test_overlapping_clips_cost_more(shared: Path, tmp_path: Path) -> None:
    clips = {}
    for overlap in (0, 8, 15):
        plan = make_plan(shared / "b.mp4", overlap=overlap)
        clips[overlap] = measure(plan, tmp_path)[0]["contenders"][0]["cost"]["clips"]
    assert clips == {0: 2, 8: 2, 15: 3}


def test_a_stream_is_measured_as_one_clip(shared: Path, tmp_path: Path) -> None:
    record, found = measure(make_plan(shared / "b.mp4", RunningTokenizer()), tmp_path)
    assert record["contenders"][0]["cost"]["clips"] == 1
    assert set(record["contenders"][0]["codebooks"]) == {"codes"}
    assert found.clips[0].methods["running"].scores.flicker.borders == 2  # pieces begin at 1 and 17


def test_a_protocol_changes_what_the_model_is_given(shared: Path, tmp_path: Path) -> None:
    rules = Protocol("x", choice="centre", frames=17, fit=SpatialFit("squash", 64, "swscale bicubic"))
    tokenizer = BlockTokenizer()
    record, found = measure(make_plan(shared / "b.mp4", tokenizer, protocol=rules), tmp_path)
    assert tokenizer.batches == [(1, 17, 64, 64, 3)]
    (clip,) = record["clips"]
    assert (clip["start"], clip["frames"], clip["width"], clip["height"]) == (2, 17, 64, 64)
    media = Media(make_plan(shared / "b.mp4", protocol=rules), found)
    shown = media.show("b.mp4", "blocks", frames=5)
    assert shown.source.shape == shown.decoded.shape == (5, 64, 64, 3) and shown.tokens is None
    assert record["protocol"]["fit"]["filter"] == "swscale bicubic"


@pytest.mark.parametrize("overlap", [0, 5])
def test_each_frame_is_shown_with_the_tokens_of_its_latent_frame(
    shared: Path, tmp_path: Path, overlap: int
) -> None:
    plan = make_plan(shared / "b.mp4", RaggedTokenizer(), overlap=overlap)
    _, found = measure(plan, tmp_path)
    shown = Media(plan, found).show("b.mp4", "stairs", frames=19)
    tokens = encode_video(shared / "b.mp4", RaggedTokenizer(), overlap=overlap)
    expected = token_map(tokens.arrays, 64, 128).tokens
    assert shown.tokens is not None and shown.tokens.side == 8 and len(shown.tokens.tokens) == 19
    assert len({each.tobytes() for clip in expected[:2] for each in clip[:3]}) >= 5
    cells = [0, *(1 + (number - 1) // 4 for number in range(1, 17)), *([0, 1] if overlap == 0 else [2, 2])]
    for number, (where, cell) in enumerate(zip(shown.tokens.tokens, cells, strict=True)):
        assert np.array_equal(where, expected[int(number >= 17), cell])


def test_what_differs_from_the_paper_is_said(shared: Path, tmp_path: Path) -> None:
    def differences(
        protocol: str, data: str, split: str | None = None, known: bool = True, notes: tuple[str, ...] = ()
    ) -> str:
        plan = make_plan(shared / "c.png", protocol=find_protocol(protocol), metrics=("psnr",))
        found = dataclasses.replace(plan.data, name=data, split=split, known=known, notes=list(notes))
        record, _ = measure(dataclasses.replace(plan, data=found), tmp_path)
        return " ".join(record["protocol"]["differs_from_paper"])

    assert "The data are clips; the paper reports on UCF-101" in differences("sweettok", "clips", known=False)
    assert "The data are davis; the paper" in differences("vidtok", "davis", "val")
    assert "The split is test; the paper reports on UCF-101 trainlist01" in differences(
        "larp", "ucf101", "test"
    )
    assert "The split" not in differences("larp", "ucf101", "train") + differences(
        "sweettok", "ucf101", "test"
    )
    assert differences("default", "clips", known=False) == ""
    short = "4 of 3783 videos of testlist01.txt are here."
    assert differences("sweettok", "ucf101", "test", notes=(short,)).startswith(short)


def test_set_metrics_see_windows_and_the_source_once(shared: Path, tmp_path: Path) -> None:
    distance = colour_distance()
    plan = make_plan(
        shared, BlockTokenizer(), BlockTokenizer(), names=["one", "two"], set_metrics=[distance], metrics=()
    )
    record, _ = measure(plan, tmp_path)
    # b.mp4 has windows of 17 and 3 frames, a.MOV of 3, the picture is too short: 3 windows, two methods.
    assert distance.extractor.calls == 3 + 2 * 3  # type: ignore[attr-defined]
    one, two = (each["summary"]["rfvd"] for each in record["contenders"])
    assert one["value"] == two["value"] > 0 and one["clips"] == 2
    warnings = record["contenders"][0]["warnings"]
    assert any("over 2 clips, fewer than 256" in warning for warning in warnings)
    assert any("rfvd is that of 2 of 3 clips: 1 frames are too few" in warning for warning in warnings)
    alone, _ = measure(make_plan(shared / "c.png", set_metrics=[colour_distance()]), tmp_path)
    assert "rfvd" not in alone["contenders"][0]["summary"]
    assert "1 frames are too few" in alone["contenders"][0]["not_measured"]["rfvd"]


def test_codecs_get_the_bits_of_the_model_and_are_compared_in_pairs(shared: Path, tmp_path: Path) -> None:
    plan = make_plan(shared / "b.mp4", codecs=["x264"])
    record, found = measure(plan, tmp_path)
    codec = record["contenders"][1]
    assert (codec["kind"], codec["family"], codec["weights_sha256"]) == ("codec", None, None)
    scores = record["clips"][0]["scores"]
    assert 0.5 < scores["x264"]["bits"] / scores["blocks"]["bits"] <= 1.01
    assert "seam_flicker" not in codec["summary"] and codec["codebooks"] == {}
    pair = {each["metric"]: each for each in record["comparisons"]}
    assert (pair["psnr"]["a"], pair["psnr"]["b"]) == ("blocks", "x264")
    assert pair["psnr"]["difference"] == scores["blocks"]["psnr"] - scores["x264"]["psnr"]
    assert pair["psnr"]["low"] is None and pair["psnr"]["clips"] == 1
    points = record["curves"]["x264"]
    assert [point["setting"] for point in points] == [18, 24, 30, 36, 42]
    rates = [point["bits_per_pixel"] for point in points]
    assert rates == sorted(rates, reverse=True)
    assert [p["psnr"] for p in points] == sorted((p["psnr"] for p in points), reverse=True)
    values = Psnr(("psnr",)).measure(*Media(plan, found).show("b.mp4", "x264")[:2])
    assert values["psnr"] == pytest.approx(scores["x264"]["psnr"], abs=1e-12)
    without, _ = measure(make_plan(shared / "b.mp4", codecs=["x264"], curves=False), tmp_path)
    assert without["curves"] == {}


def test_a_failed_file_is_listed_and_the_others_are_measured(folder: Path, tmp_path: Path) -> None:
    (folder / "a.mp4").write_text("text with a false ending")
    (folder / "d.mp4").write_bytes((folder / "b.mp4").read_bytes()[:3000])
    record, _ = measure(make_plan(folder), tmp_path)
    assert [each["name"] for each in record["failed"]] == ["a.mp4", "d.mp4"]
    assert [clip["name"] for clip in record["clips"]] == ["b.mp4", "below/a.MOV", "c.png"]


def test_an_unforeseen_error_ends_everything_unless_it_is_explained(shared: Path, tmp_path: Path) -> None:
    class Failing(BlockTokenizer):
        def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
            if width == 64:
                raise MemoryError
            return super().decode_batch(tokens, height, width)

    with pytest.raises(MemoryError):
        measure(make_plan(shared, Failing()), tmp_path)
    record, _ = measure(
        make_plan(shared, Failing()), tmp_path, explain=lambda error: f"no memory ({error!r})"
    )
    assert record["failed"] == [{"name": "below/a.MOV", "error": "no memory (MemoryError())"}]
    words = CodeCounts(Failing().spec.codebooks)
    for name in ("b.mp4", "c.png"):
        words.add(encode_video(shared / name, BlockTokenizer()).arrays)
    lists = record["contenders"][0]["codebooks"]
    # The failed file was encoded, and does not count.
    assert {part: lists[part]["used"] for part in lists} == {p: u.used for p, u in words.use().items()}


def test_a_set_of_failures_has_no_means(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("no video")
    plan = make_plan(tmp_path / "clips", set_metrics=[colour_distance()], codecs=["x264"])
    record, _ = measure(plan, tmp_path)
    model = record["contenders"][0]
    assert model["summary"] == {}
    assert {"psnr", "ssim", "psnr_global", "bits_per_pixel", "rfvd"} <= set(model["not_measured"])
    assert model["codebooks"]["nouns"]["used"] == 0 and model["codebooks"]["nouns"]["entropy_bits"] == 0
    assert record["comparisons"] == [] and record["curves"] == {"x264": []}
    json.dumps(record, allow_nan=False)


def test_progress_counts_the_frames_of_all_methods(shared: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    frames: list[tuple[int, int | None]] = []

    @contextmanager
    def watch(place: int, count: int, name: str) -> Iterator[Callable[[int, int | None], None]]:
        seen.append((place, count, name))
        yield lambda done, total: frames.append((done, total))

    plan = make_plan(shared, BlockTokenizer(), BlockTokenizer(), names=["one", "two"])
    measure(plan, tmp_path, watch=watch)
    assert seen == [(0, 3, "b.mp4"), (1, 3, "below/a.MOV"), (2, 3, "c.png")]
    assert frames[19] == (20, 40) and frames[39] == (40, 40)


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    """A window of frames is held, not the video: the scorer lets go of what it has measured."""
    import tracemalloc

    peaks = []
    for frames in (40, 160):
        film(tmp_path / f"{frames}.mp4", frames, 128, 128)
        plan = make_plan(tmp_path / f"{frames}.mp4", metrics=("psnr",))
        tracemalloc.start()
        measure(plan, tmp_path / "journals")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
