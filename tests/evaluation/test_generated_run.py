"""Generated videos against real ones: which samples are taken, what is kept of them, what is warned of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import film, own_errors, unwatched
from record_schema import GENERATED_FILE, generated_schema
from small_features import ColourFeatures

from sweettok_cli.data.datasets import Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.generated import protocol as presets
from sweettok_cli.evaluation.generated.plan import Candidate, Plan, make_plan
from sweettok_cli.evaluation.generated.protocol import (
    GENERATION_PROTOCOLS,
    GenerationProtocol,
    find_generation_protocol,
)
from sweettok_cli.evaluation.generated.record import GenerationRecord
from sweettok_cli.evaluation.generated.run import Measured, SampleJournal, read_sample, run
from sweettok_cli.evaluation.generated.summary import make_record
from sweettok_cli.evaluation.protocol import SpatialFit
from sweettok_cli.metrics.set_distance import NETWORKS
from sweettok_cli.video import VideoReader, VideoWriter

SIDE = 32


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six generated videos of 12 frames, the size that is measured; five real ones of 20 to 40."""
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "out").mkdir()
    (folder / "real" / "class").mkdir(parents=True)
    for number in range(6):
        film(folder / "out" / f"video-1-{number:03d}.mp4", 12, SIDE, SIDE, seed=number)
        (folder / "out" / f"video-1-{number:03d}.npz").write_bytes(b"tokens, which are passed over")
    for number in range(5):
        film(folder / "real" / "class" / f"{number}.mp4", 20 + 5 * number, 64, 48, seed=50 + number)
    return folder


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> GenerationProtocol:
    """``test``: sweettok's protocol with fewer and smaller samples."""
    fit = SpatialFit("squash", SIDE, "swscale bicubic")
    made = replace(GENERATION_PROTOCOLS["sweettok"], name="test", samples=4, frames=11, fit=fit)
    made = replace(made, metrics=("gfvd_400",))
    monkeypatch.setitem(presets.GENERATION_PROTOCOLS, "test", made)
    monkeypatch.setitem(NETWORKS, "gfvd_400", ColourFeatures)
    return made


def plan_of(folder: Path, generated: str = "out", real: str = "real", **choices: Any) -> Plan:
    return make_plan(str(folder / generated), str(folder / real), **{"protocol": "test", **choices})


def measure(
    plan: Plan, place: Path, explain: Callable[[Exception], str] = own_errors
) -> tuple[GenerationRecord, Measured]:
    with SampleJournal(place, plan.key()) as journal:
        found = run(plan, journal, unwatched, explain)
        return make_record(plan, found, journal, "sweettok eval"), found


def frames_of(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.rgb for frame in reader]


def test_presets_are_those_of_the_papers() -> None:
    """Samples, frames and sizes as the published code has them."""
    facts = {name: (p.samples, p.frames, p.fit.side) for name, p in GENERATION_PROTOCOLS.items()}
    assert facts.pop("test")
    assert facts == {
        "sweettok": (2048, 17, 128),
        "omnitokenizer": (2048, 17, 128),
        "larp": (10_000, 16, 128),
        "stylegan-v": (2048, 16, 256),
    }
    assert find_generation_protocol("default").name == "sweettok"
    with pytest.raises(SweettokError, match="no protocol 'vidtok' of generated videos; choose from sweettok"):
        find_generation_protocol("vidtok")


def test_starts(rules: GenerationProtocol) -> None:
    assert rules.start("real", "a", 40) == 20 - 5 and rules.start("generated", "a", 11) == 0
    random = replace(rules, real_choice="random")
    starts = [random.start("real", str(number), 20) for number in range(200)]
    assert set(starts) == set(range(10))
    assert starts == [random.start("real", str(number), 20) for number in range(200)]
    assert starts != [replace(random, seed=1).start("real", str(number), 20) for number in range(200)]


def test_generated_ones_are_drawn_and_real_ones_may_be_the_first(rules: GenerationProtocol) -> None:
    assert sorted(rules.order("real", 50)) == list(range(50)) != rules.order("real", 50)
    assert rules.order("real", 50) != replace(rules, seed=1).order("real", 50)
    first = replace(rules, real_order="by name")
    assert first.order("real", 50) == list(range(50)) != first.order("generated", 50)


@pytest.mark.parametrize(("choice", "start"), [("first", 0), ("centre", 17 - 5), ("random", None)])
def test_the_frames_of_a_sample(shelf: Path, rules: GenerationProtocol, choice: str, start: int) -> None:
    path = shelf / "real" / "class" / "3.mp4"  # 35 frames
    chosen = replace(rules, real_choice=choice)
    sample, clip = read_sample(chosen, "real", Candidate(Item("3", path)))
    begin = chosen.start("real", "3", 35) if start is None else start
    assert (sample.start, sample.frames, sample.width, sample.rate) == (begin, 35, 64, "25")
    expected = [rules.fit(frame) for frame in frames_of(path)[begin : begin + 11]]
    assert np.array_equal(clip, expected)


def test_windows_are_samples_of_their_own(shelf: Path, rules: GenerationProtocol, tmp_path: Path) -> None:
    presets.GENERATION_PROTOCOLS["test"] = replace(rules, real_choice="windows", samples=20)
    said: list[str] = []
    real = Path(shutil.copytree(shelf / "real", tmp_path / "real"))
    film(real / "short.mp4", 10, 64, 48)
    film(real / "two.mp4", 22, 64, 48)
    plan = make_plan(str(shelf / "out"), str(real), protocol="test", announce=said.append)
    assert said == ["Listing the runs of 11 frames of 7 videos."]
    windows = sorted((e.item.name, e.start) for e in plan.candidates["real"] if e.start is not None)
    counts = {"class/0.mp4": 1, "class/1.mp4": 2, "class/2.mp4": 2, "class/3.mp4": 3, "class/4.mp4": 3}
    counts["two.mp4"] = 2
    assert windows == [(name, 11 * place) for name, n in counts.items() for place in range(n)]
    record, _ = measure(plan, tmp_path / "journal")
    assert sorted((each.name, each.start) for each in record.real.samples) == windows
    assert record.real.too_short == 1 and "left out: short.mp4." in "\n".join(record.warnings)
    second = next(each for each in plan.candidates["real"] if each.start == 22)
    _, clip = read_sample(plan.protocol, "real", second)
    assert np.array_equal(clip, [rules.fit(f) for f in frames_of(second.item.path)[22:33]])


def test_the_figure_is_that_of_the_features(shelf: Path, tmp_path: Path) -> None:
    plan = plan_of(shelf)
    record, found = measure(plan, tmp_path)
    assert len(record.generated.samples) == len(record.real.samples) == 4
    assert set(ColourFeatures.given) == {(11, SIDE, SIDE, 3)}
    features = []
    for side in ("generated", "real"):
        clips = [read_sample(plan.protocol, side, each)[1] for each in plan.candidates[side][:4]]
        features.append(np.stack([clip.mean(axis=(0, 1, 2)) for clip in clips]))
    (distance,) = plan.chosen.distances
    figure = record.figures["gfvd_400"]
    assert figure.value == pytest.approx(distance.between(*features).value, rel=1e-4)
    assert figure.low is not None and figure.low < figure.value and figure.clips == 4
    assert record.generated.sizes == {"32x32": 4} and record.real.rates == {"25": 4}
    assert record.networks["gfvd_400"] == {"i3d_pretrained_400.pt": ColourFeatures.file.sha256}
    assert record.published == () and found.resumed == 0
    plain = json.loads(json.dumps(record.to_json()))
    assert GenerationRecord.from_json(plain).to_json() == plain


def test_the_schema_is_that_of_the_classes() -> None:
    schema = json.loads(GENERATED_FILE.read_text(encoding="utf-8"))
    assert schema == generated_schema(), "write docs/ anew with python tests/evaluation/record_schema.py"


def test_a_run_goes_on_where_it_stopped(shelf: Path, tmp_path: Path) -> None:
    whole, _ = measure(plan_of(shelf), tmp_path / "whole")
    plan = plan_of(shelf)
    given: list[int] = []

    def stop_at_five(clip: np.ndarray) -> np.ndarray:
        given.append(len(clip))
        if len(given) == 5:
            raise KeyboardInterrupt
        return ColourFeatures.features(plan.chosen.distances[0].extractor, clip)  # type: ignore[arg-type]

    plan.chosen.distances[0].extractor.features = stop_at_five  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        measure(plan, tmp_path / "stopped")
    record, found = measure(plan_of(shelf), tmp_path / "stopped")
    assert found.resumed == 4 and len(ColourFeatures.given) == 4
    assert record.figures == whole.figures and record.real == whole.real


def test_few_samples_and_other_data_are_said(shelf: Path, tmp_path: Path) -> None:
    record, _ = measure(plan_of(shelf, limit=3), tmp_path)
    assert record.warnings[0] == (
        "gFVD (ported I3D) of 3 generated and 3 real samples is biased upward; the published figure takes 4 "
        "of each."
    )
    assert "At most 3 samples a side were asked for; the paper takes 4." in record.protocol.differs_from_paper
    assert any(each.startswith("The real videos are real; ") for each in record.protocol.differs_from_paper)
    enough, _ = measure(plan_of(shelf), tmp_path)
    assert not any("biased" in each for each in enough.warnings)


def test_videos_of_other_lengths_sizes_and_rates_are_said(shelf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    film(out / "a-short.mp4", 10, SIDE, SIDE)
    film(out / "b-long.mp4", 24, SIDE, SIDE)
    film(out / "c-small.mp4", 11, 16, 16)
    film(out / "d-large.mp4", 11, 48, 64)
    with VideoWriter(out / "e-slow.mp4", SIDE, SIDE, Fraction(8)) as writer:
        for _ in range(11):
            writer.write(np.zeros((SIDE, SIDE, 3), np.uint8))
    record, _ = measure(make_plan(str(out), str(shelf / "real"), protocol="test"), tmp_path / "journal")
    assert record.generated.too_short == 1 and len(record.generated.samples) == 4
    said = "\n".join(record.warnings)
    assert "1 of the generated videos have fewer than 11 frames and were left out: a-short.mp4." in said
    assert "1 of the generated videos have more than 11 frames, of which the centre 11 were" in said
    assert "smaller than the 32x32 pixels of the protocol and were scaled up: c-small.mp4 (16x16)." in said
    assert "were scaled down: d-large.mp4 (48x64)." in said
    assert "frames a second" not in said  # most have the rate of the real ones
    slow = tmp_path / "slow"
    slow.mkdir()
    for number in range(3):
        shutil.copy(out / "e-slow.mp4", slow / f"{number}.mp4")
    record, _ = measure(make_plan(str(slow), str(shelf / "real"), protocol="test"), tmp_path / "journal")
    assert "Generated videos have 8 frames a second and real ones 25; " in "\n".join(record.warnings)


def test_generated_videos_among_the_real_ones_are_found_by_their_content(shelf: Path, tmp_path: Path) -> None:
    real = Path(shutil.copytree(shelf / "real", tmp_path / "real"))
    twin = shelf / "out" / "video-1-002.mp4"
    shutil.copy(twin, real / "another-name.mp4")
    alike = bytearray((shelf / "out" / "video-1-004.mp4").read_bytes())
    alike[-1] ^= 1  # of the same length
    (real / "alike.mp4").write_bytes(alike)
    plan = make_plan(str(shelf / "out"), str(real), protocol="test")
    plan.candidates["generated"].sort(key=lambda each: each.item.name)
    record, _ = measure(replace(plan, samples=6), tmp_path / "journal")
    found = [each for each in record.warnings if "also among" in each]
    assert found == [
        "1 of the generated videos are also among the real ones: video-1-002.mp4; the figures are too good."
    ]


def test_what_cannot_be_read_is_noted_and_the_next_takes_its_place(shelf: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(shelf / "out", tmp_path / "out"))
    plan = make_plan(str(out), str(shelf / "real"), protocol="test")
    broken = plan.candidates["generated"][1].item
    broken.path.write_bytes(b"no video")
    record, found = measure(plan, tmp_path / "journal")
    assert [each.name for each in record.failed] == [broken.name] and len(found.failed) == 1
    assert len(record.generated.samples) == 4


def test_a_side_without_samples_is_an_error(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    film(tmp_path / "short" / "a.mp4", 5, SIDE, SIDE)
    for generated, real in ((tmp_path / "short", shelf / "real"), (shelf / "out", tmp_path / "short")):
        plan = make_plan(str(generated), str(real), protocol="test")
        with pytest.raises(SweettokError, match="has the 11 frames that the protocol test measures; give"):
            measure(plan, tmp_path / "journal")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.mp4").write_bytes(b"no video")
    plan = make_plan(str(tmp_path / "broken"), str(shelf / "real"), protocol="test")
    with pytest.raises(SweettokError, match=r"^None of the videos of .*broken can be read: "):
        measure(plan, tmp_path / "journal")


def test_a_folder_may_be_called_as_a_data_set(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(shelf / "out", "UCF101")
    plan = make_plan("UCF101", str(shelf / "real"), protocol="test")
    assert len(plan.candidates["generated"]) == 6 and not plan.sides["generated"].known


def test_without_a_network_nothing_is_begun(
    shelf: Path, without_downloads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SweettokError) as caught:
        plan_of(shelf, metrics=["gfvd", "jedi"])
    said = str(caught.value)
    assert "i3d_torchscript.pt is not on this machine" in said and "--features" in said
    assert "vith16.pth.tar and ssv2-probe.pth.tar" in said
