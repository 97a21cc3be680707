"""The record as typed objects, as JSON, and as the schema in ``docs/`` says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from block_tokenizer import BlockTokenizer
from measuring import colour_distance, fill, make_plan, measure
from record_schema import FILE, record_schema
from running_tokenizer import RunningTokenizer

from sweettok_cli.evaluation.protocol import find_protocol
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


@pytest.fixture(scope="module")
def stream_plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON of a protocol's measurement of a causal model on one picture."""
    place = tmp_path_factory.mktemp("stream")
    plan = make_plan(fill(place / "clips") / "c.png", RunningTokenizer(), protocol=find_protocol("vidtok"))
    return json.loads(json.dumps(measure(plan, place / "journal")[0]))


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> Iterator[str]:
    """What of ``value`` the schema does not allow, by the keywords that this schema uses."""
    assert schema.keys() <= {
        "$schema", "$defs", "$ref", "title", "description", "type", "const", "enum", "anyOf", "items",
        "properties", "required", "additionalProperties",
    }  # fmt: skip
    if "$ref" in schema:
        yield from faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    if "anyOf" in schema and all(list(faults(value, each, root, where)) for each in schema["anyOf"]):
        yield f"{where}: {value!r} is none of these"
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        yield f"{where}: {value!r}"
    kinds = {
        "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
        "boolean": (bool,), "null": (type(None),),
    }  # fmt: skip
    if "type" in schema and type(value) not in kinds[schema["type"]]:
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from faults(each, schema.get("items", {}), root, f"{where}/{place}")
    if isinstance(value, dict):
        yield from (f"{where}/{key} is missing" for key in schema.get("required", ()) if key not in value)
        for key, each in value.items():
            inside = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            if inside is False:
                yield f"{where}/{key} is not known"
            else:
                yield from faults(each, inside, root, f"{where}/{key}")


def test_the_schema_is_that_of_the_classes_and_real_records_are_valid(
    plain: dict[str, Any], stream_plain: dict[str, Any]
) -> None:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    assert schema == record_schema(), "write docs/ anew with python tests/evaluation/record_schema.py"
    for record in (plain, stream_plain):
        assert list(faults(record, schema, schema)) == []
    assert (
        list(faults({**plain, "version": 2, "clips": [{}], "x": 1}, schema, schema))[-1] == "/x is not known"
    )


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
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    assert list(faults(changed, schema, schema))
