from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from measuring import make_plan, measure
from numbered import Numbered

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.record import Record
from sweettok_cli.evaluation.report import page as page_module
from sweettok_cli.evaluation.report.page import make_page, write_report
from sweettok_cli.evaluation.run import Media

HOSTILE = "</title></script><script>alert(1)</script>{{ 7 * 7 }}{% raise %}&lt;\"'><b \x00\udce9"
SPELLED = HOSTILE.replace("\x00", "\\x00").replace("\udce9", "\\xe9")
OUTSIDE = ("name", "error", "split", "label", "word", "command", "a", "b")
VOID = {"meta", "link", "input", "br"}


class Read(HTMLParser):
    """Elements, text and links of a page; an element that is not closed where it should be is an error."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[tuple[str, list[str]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, [name for name, _ in attrs]))
        assert len(found) == len(attrs), f"an attribute of {tag} is there twice"
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        elif {"src", "href"} & set(found):
            self.loads.append(str(found.get("src") or found.get("href")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


def test_the_page_is_well_formed_and_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    read = Read(text)
    assert len(read.ids) == len(set(read.ids))
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert read.loads == ["data:,"]
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert page.stat().st_size < 1 << 20


def test_names_are_shown_and_never_run(page: Path) -> None:
    read = Read(page.read_text(encoding="utf-8"))
    assert "<script>alert('x')&\".mp4" in read.text
    assert "caf\\xe9.mp4" in read.text
    assert page.read_text(encoding="utf-8").count("<script>alert") == 0


def spoilt(value: Any) -> Any:
    """JSON in which every text that may come from outside, and every name, tries to get out of its place."""
    if isinstance(value, dict):
        return {
            key + HOSTILE if key in ("blocks", "x264") else key: each + HOSTILE
            if key in OUTSIDE
            else spoilt(each)
            for key, each in value.items()
        }
    return [spoilt(each) for each in value] if isinstance(value, list) else value


def test_hostile_names_stay_text(record: dict[str, Any]) -> None:
    record["failed"].append({"name": "broken", "error": "damaged"})
    record["data"]["split"] = "test"
    for clip in record["clips"]:
        clip["label"] = "label"
    for use in record["contenders"][0]["codebooks"].values():
        for code in use["top"]:
            code["word"] = "word"
    plain, page = (make_page(Record.from_json(each), Numbered()) for each in (record, spoilt(record)))
    honest, read = Read(plain), Read(page)
    assert read.tags == honest.tags and read.ids == honest.ids
    for text in ("broken", "damaged", "test", "label", "word", "blocks", "x264", record["command"]):
        assert text + SPELLED in read.text
    facts = json.loads(page.partition('id="facts">')[2].partition("</script>")[0])
    assert facts["methods"] == ["blocks" + SPELLED, "x264" + SPELLED]
    assert all(film["name"].endswith(SPELLED) for film in facts["films"])


def test_the_top_says_how_good_the_model_is_and_where_it_fails(page: Path, record: dict[str, Any]) -> None:
    text = Read(page.read_text(encoding="utf-8")).text
    model = record["contenders"][0]
    assert f"PSNR {model['summary']['psnr']['value']:.2f}\u00a0dB (95 % interval" in text
    (psnr,) = (each for each in record["comparisons"] if each["metric"] == "psnr")
    word = "better" if psnr["difference"] > 0 else "worse"
    assert f"{abs(psnr['difference']):.2f}\u00a0dB {word} than x264" in text
    worst = min(record["clips"], key=lambda clip: clip["scores"]["blocks"]["psnr"])
    assert f"fails most on {worst['name']}".replace("\udce9", "\\xe9") in text
    assert f"{model['summary']['bits_per_pixel']['value']:.4f} bits per pixel" in text


def test_the_clip_table_names_every_method_above_its_columns(page: Path, record: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8").partition('id="clip-table"')[2].partition("</table>")[0]
    groups, heads = re.findall(
        r"<tr(?: class=\"methods\")?>(.*?)</tr>", text.partition("</thead>")[0], re.DOTALL
    )
    held = [
        (int(span), name)
        for span, name in re.findall(r'colspan="(\d+)".*?<bdi class="name">(.*?)</bdi>', groups)
    ]
    assert [name for _, name in held] == ["blocks", "x264"]
    titles = re.findall(r">([^<>]+)<span aria-hidden", heads)
    first, other = titles[1 : 1 + held[0][0]], titles[1 + held[0][0] :][: held[1][0]]
    assert (
        first[0] == other[0] == "PSNR (dB)" and other[1:] == ["difference (dB)"] and "bits per pixel" in first
    )
    row = text.partition("<tbody>")[2].partition("</tr>")[0]
    cells = re.findall(r'class="number" data-value="([^"]*)"', row)
    worst = min(record["clips"], key=lambda clip: clip["scores"]["blocks"]["psnr"])["scores"]
    assert float(cells[len(first)]) == worst["x264"]["psnr"]
    assert float(cells[len(first) + 1]) == worst["blocks"]["psnr"] - worst["x264"]["psnr"]


def test_a_short_list_of_the_papers_data_is_no_full_protocol(record: dict[str, Any]) -> None:
    record["data"] |= {"name": "ucf101", "split": "test", "items": 4, "notes": ["4 of 3783 videos are here."]}
    text = Read(make_page(Record.from_json(record), None)).text
    told = text.partition("from the protocol sweettok")[2].partition("What separates")[0]
    assert "4 of 3783 videos are here." in told


def test_other_models_are_named_at_the_top(record: dict[str, Any]) -> None:
    record["contenders"][1]["kind"] = "model"
    record["contenders"][1]["cost"]["clip_256"] = record["contenders"][0]["cost"]["clip_256"]
    text = " ".join(Read(make_page(Record.from_json(record), None)).text.split())
    assert "blocks, x264 on clips" in text and "blocks: PSNR" in text
    assert re.search(r"It is [\d.]+ dB (better|worse) than x264", text) and "At the same bits" not in text


def test_everything_of_the_record_is_there(page: Path, record: dict[str, Any]) -> None:
    text = Read(page.read_text(encoding="utf-8")).text
    for method in record["contenders"]:
        for entry in method["summary"].values():
            assert entry["definition"] in text
    for heading in ("Rate and distortion", "All clips", "Codebooks", "Protocol", "Not measured"):
        assert heading in text
    assert record["date"] in text and all(value in text for value in record["machine"].values())
    assert record["command"] in text and record["protocol"]["interval"] in text
    assert "SweetTok (arXiv 2412.10443)" in text and "number of frames: here all; published with 17" in text
    assert "b10c" * 16 in text
    for part, use in record["contenders"][0]["codebooks"].items():
        assert f"{part} {use['used']:,} of {use['size']:,} in use" in text


def test_what_is_missing_failed_or_doubtful_is_said(record: dict[str, Any]) -> None:
    model = record["contenders"][0]
    model["not_measured"]["lpips_vgg"] = "the weights are not there."
    model["warnings"].append("rfvd of 4 clips says little.")
    record["failed"].append({"name": "b<a>d.mp4", "error": "it is damaged."})
    del record["contenders"][1]["summary"]["ssim"]
    record["contenders"][1]["not_measured"]["ssim"] = "the frames are too small."
    text = Read(make_page(Record.from_json(record), Numbered())).text
    assert "the weights are not there." in text and "LPIPS (VGG) of blocks" in text
    assert "blocks: rfvd of 4 clips says little." in text
    assert "1 file failed" in text and "b<a>d.mp4: it is damaged." in text
    assert "the frames are too small." in text


def test_more_bits_than_the_model_and_chance_are_said(record: dict[str, Any]) -> None:
    model, codec = (each["summary"]["bits_per_pixel"] for each in record["contenders"])
    codec["value"] = 1.5 * model["value"]
    for each in record["comparisons"]:
        each["low"], each["high"] = -20.0, 20.0
    text = Read(make_page(Record.from_json(record), None)).text
    assert "than x264, which spends 50% more" in text
    assert "which may be chance" in text and "no clear difference" in text


def test_a_run_without_codecs_words_or_frames_is_still_a_page(record: dict[str, Any]) -> None:
    del record["contenders"][1]
    record["contenders"][0]["codebooks"] = {}
    record |= {"curves": {}, "comparisons": []}
    for clip in record["clips"]:
        del clip["scores"]["x264"]
    page = make_page(Record.from_json(record), None)
    read = Read(page)
    assert "were not at hand" in read.text and "No model here has a codebook" in read.text
    assert '<section id="rate" aria-labelledby="rate-title" hidden>' in page


def test_a_run_in_which_everything_failed_is_still_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"no video")
    plan = make_plan(folder)
    record, found = measure(plan, tmp_path / "journal")
    text = Read(make_page(Record.from_json(record), Media(plan, found))).text
    assert "Nothing could be measured: 1 file failed" in text and "No clip was measured" in text


def test_the_run_gives_the_frames_again(measured: tuple[Any, Record, Any], tmp_path: Path) -> None:
    plan, record, found = measured
    write_report(record, Media(plan, found), tmp_path / "r.html")
    assert Read((tmp_path / "r.html").read_text(encoding="utf-8")).ids.count("film-0") == 1


def test_a_large_set_is_cut_and_says_so(record: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MOST_ROWS", 3)
    read = Read(make_page(Record.from_json(record), None))
    assert "The worst 2 and the best of 4 clips" in read.text
    order = sorted(range(4), key=lambda place: record["clips"][place]["scores"]["blocks"]["psnr"])
    assert [name for name in read.ids if name.startswith("clip-") and name[5:].isdigit()] == [
        f"clip-{place}" for place in (order[0], order[1], order[3])
    ]


def test_an_existing_file_is_kept_unless_forced(record: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("mine")
    with pytest.raises(SweettokError, match="exists"):
        write_report(Record.from_json(record), None, path)
    assert path.read_text() == "mine"
    write_report(Record.from_json(record), None, path, force=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
