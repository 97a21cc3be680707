from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from sweettok_cli.tokens import TokenFault, TokenMeta, Tokens
from sweettok_cli.video.selection import WHOLE, Selection


def test_json_round_trip(tokens: Tokens) -> None:
    again = TokenMeta.from_json(tokens.meta.to_json())
    assert again == tokens.meta
    assert again.rate == tokens.meta.rate


def test_json_is_strict_json(tokens: Tokens) -> None:
    record = json.loads(tokens.meta.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert record["format"] == "sweettok-tokens"
    assert record["version"] == (2 if tokens.meta.levels else 1)
    assert ("levels" in record) == ("rows" in record) == (record["version"] == 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "other"),
        ("version", 2),
        ("version", True),
        ("family", ""),
        ("family", ["sweettok"]),
        ("model", ""),
        ("weights_sha256", "123"),
        ("weights_sha256", "G" * 64),
        ("source", 7),
        ("image", 1),
        ("width", 0),
        ("width", 120.0),
        ("width", 500),
        ("height", True),
        ("padded_width", 100),
        ("frames", 0),
        ("frames", -5),
        ("frames", None),
        ("rate", "-30/1"),
        ("rate", "0/1"),
        ("rate", "30/0"),
        ("rate", "nan"),
        ("rate", "٣/1"),
        ("rate", 30),
        ("clip_frames", 0),
        ("overlap", 17),
        ("overlap", -1),
        ("fit", "stretch"),
        ("codebooks", {"spatial": [10, 10, 10]}),
        ("codebooks", {"spatial": [10, 10], "temporal": [10, 10, 10]}),
        ("codebooks", {"spatial": [10, 10, 0], "temporal": [10, 10, 10]}),
        ("codebooks", [1]),
        ("shapes", {"spatial": [32, 3]}),
        ("shapes", {"spatial": [32, 3], "temporal": [128, 3], "codes": [7]}),
        ("shapes", {"spatial": [32], "temporal": [128, 3]}),
        ("shapes", {"spatial": [-32, 3], "temporal": [128, 3]}),
        ("times", [0, 1]),
        ("writer", None),
    ],
)
def test_impossible_fields_are_refused(make_tokens: Any, field: str, value: Any) -> None:
    record = json.loads(make_tokens().meta.to_json())
    record[field] = value
    with pytest.raises(TokenFault):
        TokenMeta.from_json(json.dumps(record))


@pytest.mark.parametrize(
    "field", ["model", "rate", "frames", "shapes", "codebooks", "version", "format", "fit"]
)
def test_missing_fields_are_refused(make_tokens: Any, field: str) -> None:
    record = json.loads(make_tokens().meta.to_json())
    del record[field]
    with pytest.raises(TokenFault):
        TokenMeta.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 1.5),
        ("version", 3),
        ("levels", None),
        ("levels", {}),
        ("levels", [1, 3]),
        ("levels", {"temporal": 1}),
        ("levels", {"temporal": 1, "detail": 0}),
        ("levels", {"temporal": 1, "detail": 256}),
        ("levels", {"temporal": 1, "detail": "3"}),
        ("levels", {"temporal": 1, "detail": 2}),
        ("levels", {"temporal": 1, "detail": 3, "spatial": 1}),
        ("rows", None),
        ("rows", {"detail": [7, 7, 0]}),
        ("rows", {"temporal": 0, "detail": [7, 7, 0]}),
        ("rows", {"temporal": [0], "detail": [7, 7]}),
        ("rows", {"temporal": [0], "detail": [7, 7, 0, 0]}),
        ("rows", {"temporal": [0], "detail": [7, 8, 0]}),
        ("rows", {"temporal": [-1], "detail": [7, 7, 0]}),
        ("rows", {"temporal": [0.0], "detail": [7, 7, 0]}),
        ("rows", {"temporal": [3 * 128 + 1], "detail": [7, 7, 0]}),
        ("rows", {"temporal": [0], "detail": [3 * 640 + 1, 7, 0]}),
        ("rows", {"temporal": [0], "detail": [7, 7, 0], "spatial": [96]}),
        ("shapes", {"spatial": [32, 3], "temporal": [128, 3]}),
        ("shapes", {"spatial": [32, 3], "temporal": [128, 3], "detail": [640, 3]}),
        ("shapes", {"temporal": [128, 3], "detail": [5, 8, 16, 1]}),
        ("shapes", {"spatial": [32, 3], "temporal": [128, 3], "detail": [5, 1 << 30, 1, 1]}),
        ("codebooks", {"spatial": [9, 9, 9], "temporal": [9, 9, 9]}),
        ("codebooks", {"spatial": [9, 9, 9], "temporal": [9, 9, 9], "detail": [8]}),
        ("codebooks", {"spatial": [9, 8, 9], "temporal": [9, 9, 9], "detail": [8]}),
        ("codebooks", {"spatial": [9, 9, 9], "temporal": [9, 9, 9], "detail": [9, 9, 9]}),
    ],
)
def test_impossible_levels_are_refused(make_tokens: Any, field: str, value: Any) -> None:
    record = json.loads(make_tokens(levels={"temporal": 1, "detail": 3}).meta.to_json())
    record["rows"] = {"temporal": [0], "detail": [7, 7, 0]}
    assert TokenMeta.from_json(json.dumps(record)).rows["detail"] == (7, 7, 0)
    with pytest.raises(TokenFault):
        TokenMeta.from_json(json.dumps(record | {field: value}))


def test_grids_have_no_levels(make_tokens: Any) -> None:
    record = json.loads(
        make_tokens(codebooks={"indices": (8,)}, shapes={"indices": (5, 8, 16)}).meta.to_json()
    )
    record |= {"version": 2, "levels": {"indices": 2}, "rows": {"indices": [3 * 640, 0]}}
    with pytest.raises(TokenFault, match="levels"):
        TokenMeta.from_json(json.dumps(record))


def test_detail_is_of_levels(make_tokens: Any) -> None:
    record = json.loads(make_tokens(levels={"temporal": 1, "detail": 3}).meta.to_json())
    with pytest.raises(TokenFault, match="does not give the levels and rows"):
        TokenMeta.from_json(json.dumps({**record, "version": 1}))


def test_the_bound_counts_rows_and_counts(make_tokens: Any) -> None:
    meta = make_tokens(levels={"temporal": 1, "detail": 4}).meta
    rows = {name: sum(each) for name, each in meta.rows.items()}
    sizes = [6 * 3 * 32, 6 * rows["temporal"], 2 * rows["detail"], 3 * 128, 3 * 640]
    assert [meta.array_size(name) for name in meta.arrays] == sizes and meta.array_bytes == sum(sizes)
    record = json.loads(meta.to_json())
    record["frames"] = 17 << 22
    record["rows"] = {"temporal": [0], "detail": [0] * 4}
    shapes = {"spatial": [32, 3], "temporal": [0, 3], "detail": [5, 8, 4, 1]}
    TokenMeta.from_json(json.dumps(record | {"shapes": shapes}))
    for change in ({"detail": [5, 16, 16, 1]}, {"spatial": [192, 3]}):
        with pytest.raises(TokenFault, match="GiB"):
            TokenMeta.from_json(json.dumps(record | {"shapes": shapes | change}))
    record |= {"shapes": shapes, "rows": {"temporal": [0], "detail": [160 << 22] * 4}}
    with pytest.raises(TokenFault, match="GiB"):
        TokenMeta.from_json(json.dumps(record))


@pytest.mark.parametrize(
    "times", [[0, 5, 5], [0, 9, 3], [-1, 0, 1], [0, 1], [0, 1, 2.5], [0, 1, "2"], 7, [0, 1, 1 << 70]]
)
def test_bad_time_stamps_are_refused(make_tokens: Any, times: Any) -> None:
    meta = make_tokens(frames=3, time_base=Fraction(1, 1000), times=(0, 1, 2)).meta
    record = json.loads(meta.to_json())
    record["times"] = times
    with pytest.raises(TokenFault):
        TokenMeta.from_json(json.dumps(record))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 100_000, '{"format": NaN}', "9" * 5000, '"sweettok-tokens"']
)
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(TokenFault):
        TokenMeta.from_json(text)


def test_an_image_has_no_motion(make_tokens: Any) -> None:
    with pytest.raises(TokenFault, match="temporal"):
        make_tokens(image=True, frames=1)


def test_durations_are_exact(make_tokens: Any) -> None:
    assert make_tokens().meta.duration == Fraction(40 * 1001, 30000)
    varying = make_tokens(frames=3, rate=Fraction(10), time_base=Fraction(1, 1000), times=(0, 50, 700)).meta
    assert varying.duration == Fraction(8, 10)
    assert varying.frame_times() == [0, Fraction(1, 20), Fraction(7, 10)]


def test_a_promise_past_the_bound_is_refused(make_tokens: Any) -> None:
    record = json.loads(make_tokens().meta.to_json())
    record["frames"] = 1 << 33
    with pytest.raises(TokenFault, match="GiB"):
        TokenMeta.from_json(json.dumps(record))


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": Fraction(1, 1 << 30)},
        {"frames": 1 << 40, "shapes": {"spatial": (0, 3), "temporal": (0, 3)}},
        {"frames": 3, "time_base": Fraction(1), "times": (0, 1, 1 << 29)},
        {"frames": 3, "time_base": Fraction(1), "times": (1 << 30, (1 << 30) + 1, (1 << 30) + 2)},
        {"frames": 3, "time_base": Fraction(1 << 30), "times": (0, 1, 2)},
    ],
)
def test_what_no_video_can_hold_is_refused(make_tokens: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(TokenFault, match="17 years"):
        make_tokens(**changes)


@pytest.mark.parametrize("key", ["rate", "time_base", "sample_aspect_ratio"])
@pytest.mark.parametrize("value", [Fraction(1 << 31), Fraction(1, 1 << 31), Fraction((1 << 40) + 1, 1 << 40)])
def test_ratios_of_more_than_32_bits_are_refused(make_tokens: Any, key: str, value: Fraction) -> None:
    with pytest.raises(TokenFault, match=f"has an impossible value for {key}: "):
        make_tokens(**{"frames": 3, "time_base": Fraction(1), "times": (0, 1, 2), key: value})


SOME = Selection(start=Fraction(5, 2), end="1:02.5", fps="30000/1001", short_side=256, max_frames=40)


@pytest.mark.parametrize(
    "selection", [SOME, Selection(start=1), Selection(short_side=64), Selection(fps=0.5)]
)
def test_a_part_of_a_source_is_kept(make_tokens: Any, selection: Selection) -> None:
    meta = make_tokens(selection=selection, begins=Fraction(2503, 1000)).meta
    assert TokenMeta.from_json(meta.to_json()) == meta
    assert meta.version == 1  # which programs that know of no parts read


def test_of_a_whole_source_nothing_is_said(make_tokens: Any) -> None:
    record = json.loads(make_tokens().meta.to_json())
    assert not {"selection", "begins"} & set(record)
    assert TokenMeta.from_json(json.dumps(record)).selection == WHOLE


@pytest.mark.parametrize(
    ("selection", "why"),
    [
        ("all", "no usable selection"),
        ({"start": 2.5}, "impossible value for start"),
        ({"start": "5/2", "end": "2/1"}, "cannot be"),
        ({"fps": "1/0"}, "impossible value for fps"),
        ({"fps": "0/1"}, "cannot be"),
        ({"short_side": "256"}, "cannot be"),
        ({"max_frames": -1}, "cannot be"),
        ({"every": 2}, "in a way that is unknown"),
    ],
)
def test_impossible_parts_are_refused(make_tokens: Any, selection: Any, why: str) -> None:
    record = json.loads(make_tokens(selection=SOME).meta.to_json())
    record["selection"] = selection
    with pytest.raises(TokenFault, match=why):
        TokenMeta.from_json(json.dumps(record))


@pytest.mark.parametrize("begins", [5, "-1/2", "1/0", "99999999999999/1", None])
def test_impossible_beginnings_are_refused(make_tokens: Any, begins: Any) -> None:
    record = json.loads(make_tokens(selection=SOME).meta.to_json())
    record["begins"] = begins
    with pytest.raises(TokenFault):
        TokenMeta.from_json(json.dumps(record))
