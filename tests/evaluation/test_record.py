"""The record as typed objects, as JSON, and as the schema in ``docs/`` says."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from block_tokenizer import BlockTokenizer
from measuring import colour_distance, fill, make_plan, measure

from sweettok_cli.evaluation.record import Record


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON of two models and a codec on two videos and a picture, with a file that fails."""
    place = tmp_path_factory.mktemp("record")
    folder = fill(place / "clips")
    (folder / "d.mp4").write_text("no video")
    plan = make_plan(
        folder,
        BlockTokenizer(),
        BlockTokenizer(),
        names=["one", "two"],
        codecs=["x264"],
        set_metrics=[colour_distance()],
    )
    record, _ = measure(plan, place / "journal")
    return json.loads(json.dumps(record))


def test_json_comes_back_as_it_was(plain: dict[str, Any]) -> None:
    read = Record.from_json(plain)
    assert json.dumps(read.to_json()) == json.dumps(plain)  # the order of the keys, too
    assert read.methods[2].kind == "codec" and read.methods[2].cost.clip_256 is None
    assert read.clips[0].scores["one"].values["psnr"] == plain["clips"][0]["scores"]["one"]["psnr"]
    assert read.curves["x264"][0].setting == 18


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.pop("date"), "/date is missing"),
        (lambda r: r.update(version=2), "/version: 2 is no"),
        (lambda r: r["contenders"][0].update(more=1), "/contenders/0/more is not known"),
        (lambda r: r["clips"][1].update(frames="3"), "/clips/1/frames: '3' is no int"),
        (lambda r: r["clips"][1].update(image=0), "/clips/1/image: 0 is no bool"),
        (lambda r: r["clips"][0]["scores"]["two"].update(psnr=None), "/clips/0/scores/two/psnr: None is no"),
        (lambda r: r["comparisons"][0].update(better="more"), "/comparisons/0/better: 'more' is no"),
        (lambda r: r.update(machine=[]), r"/machine: \[\] is no"),
    ],
)
def test_what_is_no_record_is_refused(plain: dict[str, Any], change: Any, words: str) -> None:
    changed = copy.deepcopy(plain)
    change(changed)
    with pytest.raises(ValueError, match=words):
        Record.from_json(changed)
