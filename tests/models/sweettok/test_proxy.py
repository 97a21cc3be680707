"""Proxy codes: learned from a frozen OmniTokenizer, whose codes and decoder become the network's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_run import TINY_NETWORK, Heard

from sweettok_cli.codebook.prior import load_prior
from sweettok_cli.data.pack import Plan, pack
from sweettok_cli.data.pieces import Packing
from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.frames import to_video
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.folder import read_network
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.models.sweettok.teacher import Teacher, encoder_of, weights_of
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord

NETWORK = {
    **{**TINY_NETWORK, "proxy_codes": 64, "proxy_hidden": 16, "scrambled": True},
    **{"pixel_spatial": "tttt", "pixel_temporal": "t"},
}
WITHOUT_PIXELS = {**NETWORK, "pixels": False}


pytestmark = pytest.mark.usefixtures("one_run_a_process")


@pytest.fixture
def omni(families: dict[str, Path]) -> Path:
    return families["omnitokenizer"]


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    return dataclasses.replace(
        tiny, model=NETWORK, crop=[[64.0, 2.0, 1.0]], log_every=1, proxy=0.5, steps=4, checkpoint_every=1
    )


def run(recipe: Recipe, clips: Path, out: Path, *given: Path | None, **options: Any) -> dict[str, Any]:
    """``given``: init, prior, teacher."""
    record = RunRecord.of([clips], options.pop("val", None), *given[:2])
    task = SweetTokTask(recipe, *given)
    summary = train(RunOptions(task, recipe, record, out, **options), options.pop("voice", Heard()))
    assert summary is not None
    return summary


def built(recipe: Recipe, *given: Path | None) -> tuple[SweetTokTask, Heard]:
    task, heard = SweetTokTask(recipe, *given), Heard()
    task.build(torch.device("cpu"), heard)
    return task, heard


def lines(out: Path, kind: str = "train") -> list[dict[str, Any]]:
    found = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [line for line in found if line["kind"] == kind]


def test_a_new_network_paints_as_its_teacher_does(recipe: Recipe, prior: Path, omni: Path) -> None:
    task, heard = built(recipe, None, prior, omni)
    teacher = read_network(ModelFolder(omni)).eval()
    indices = torch.randint(64, (1, 5, 8, 8))
    proxy = task.model.proxy_pixels
    assert proxy is not None
    with torch.no_grad():
        certain = 1e4 * F.one_hot(indices, 64).float()
        made = proxy(certain, task.model.config.patch_grid(64, 64))
        assert torch.allclose(made, teacher.decode(indices), atol=1e-5)
    assert any("pixels begin with the codes and the decoder" in line for line in heard.said)
    assert "do not learn" not in " ".join(task._missing)


def test_cross_entropy_is_that_of_the_teachers_codes(recipe: Recipe, prior: Path, omni: Path) -> None:
    task, _ = built(recipe, None, prior, omni)
    task.model.eval()
    frames = torch.randint(256, (2, 17, 64, 64, 3), dtype=torch.uint8).numpy()
    found = task.losses(task.model, Batch(frames, ("a", "b")), step=1)
    video = to_video(torch.from_numpy(frames))
    with torch.no_grad():
        wanted = read_network(ModelFolder(omni)).eval().encode(video)
        logits = task.model(video).logits
    expected = F.cross_entropy(logits.movedim(-1, 1), wanted)
    assert found.losses["model"]["proxy"].item() == pytest.approx(expected.item(), rel=1e-5)
    hits = (logits.argmax(-1) == wanted).float().mean()
    assert found.measures["proxy_hits"].item() == pytest.approx(hits.item())
    assert set(found.losses["model"]) > {"proxy", "spatial_codebook"}
    later = task.losses(task.model, Batch(frames, ("a", "b")), step=2)
    assert "l2" in later.losses["model"] and "proxy" not in later.losses["model"]


def test_half_of_the_steps_learn_codes_and_then_pixels(
    recipe: Recipe, clips: Path, prior: Path, omni: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(recipe, clips, out, None, prior, omni, val=clips / "inner")
    names = [set(line["losses"]) - {"loss"} for line in lines(out)]
    assert ["proxy" in found for found in names] == [True, True, False, False]
    assert ["l2" in found for found in names] == [False, False, True, True]
    assert ["proxy_hits" in line for line in lines(out)] == ["psnr" not in line for line in lines(out)]
    assert "proxy_hits" in lines(out)[0]
    states = [
        torch.load(out / "checkpoints" / f"{step:08d}" / "state.pt", weights_only=True)["model"]
        for step in (3, 4)
    ]
    painted = "proxy_pixels.decoder.to_pixels.first_frame.weight"
    assert not torch.equal(states[0][painted], states[1][painted])
    table = read_network(ModelFolder(omni)).codebook.embeddings
    assert torch.equal(states[1]["proxy_pixels.embeddings"], table), "codes stay the teacher's"


def test_means_of_a_log_line_are_of_the_steps_that_had_the_term(
    recipe: Recipe, clips: Path, prior: Path, omni: Path, tmp_path: Path
) -> None:
    run(recipe, clips, tmp_path / "each", None, prior, omni)
    run(dataclasses.replace(recipe, log_every=4), clips, tmp_path / "all", None, prior, omni)
    proxy = [line["losses"]["proxy"] for line in lines(tmp_path / "each")[:2]]
    (line,) = lines(tmp_path / "all")
    assert line["losses"]["proxy"] == pytest.approx(sum(proxy) / 2, rel=1e-5)
    pixels = [line["losses"]["l2"] for line in lines(tmp_path / "each")[2:]]
    assert line["losses"]["l2"] == pytest.approx(sum(pixels) / 2, rel=1e-5)


def test_codes_alone_are_learned_and_painted_by_the_teacher(
    recipe: Recipe, clips: Path, prior: Path, omni: Path, tmp_path: Path
) -> None:
    out = tmp_path / "first"
    alone = dataclasses.replace(recipe, model=WITHOUT_PIXELS, proxy=1.0, lr=3e-3, steps=12, validate_every=12)
    summary = run(alone, clips, out, None, prior, omni, val=clips / "inner")
    found = [line["losses"]["proxy"] for line in lines(out)]
    assert found[-1] < 0.95 * found[0]
    assert summary["validation_psnr"] > 0 and (out / "samples").exists() is False
    assert not read_model(ModelFolder(out / "model")).config.pixels

    again = dataclasses.replace(alone, steps=13)
    assert run(again, clips, out, None, None, omni, resume=True)["step"] == 13

    task, heard = built(recipe, out / "model", None, omni)  # the next stage ends in pixels
    assert task.model.config.pixels and task.recipe.model["preset"] == "compact"
    before = read_model(ModelFolder(out / "model")).network.state_dict()
    grown = task.model.state_dict()
    assert all(torch.equal(value, grown[name]) for name, value in before.items())
    assert any("pixels begin with" in line for line in heard.said)
    kept, _ = built(dataclasses.replace(recipe, proxy=1.0), out / "model", None, omni)
    assert not kept.model.config.pixels


def test_a_decoder_that_has_learned_is_not_replaced(
    recipe: Recipe, clips: Path, prior: Path, omni: Path, tmp_path: Path
) -> None:
    run(recipe, clips, tmp_path / "first", None, prior, omni)
    model = tmp_path / "first" / "model"
    task, heard = built(recipe, model, None, omni)
    stored = read_model(ModelFolder(model)).network
    assert torch.equal(task.model.proxy_pixels.project.weight, stored.proxy_pixels.project.weight)  # type: ignore[union-attr]
    assert not any("pixels begin with" in line for line in heard.said)


@pytest.mark.parametrize(
    ("network", "changes", "words"),
    [
        ({**NETWORK, "proxy_codes": 32}, {}, r"needs model\.proxy_codes = 64; change the recipe"),
        (
            {**NETWORK, "pixel_temporal": "tt", "dim": 64},
            {},
            r"needs model\.pixel_temporal = t, model\.dim = 32;",
        ),
        (TINY_NETWORK, {}, "has no proxy codes to learn"),
        (WITHOUT_PIXELS, {}, "set proxy=1 and name that tokenizer"),
        ({**NETWORK, "tile": 4}, {"crop": [[32.0, 2.0, 1.0]]}, r"cannot take samples of crop = 32"),
    ],
)
def test_what_does_not_fit_the_teacher_is_refused(
    recipe: Recipe, prior: Path, omni: Path, network: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SweettokError, match=words):
        built(dataclasses.replace(recipe, model=network, **changes), None, prior, omni)


def test_a_model_without_pixels_is_sent_to_stage_two(
    recipe: Recipe, prior: Path, omni: Path, tmp_path: Path
) -> None:
    codes = dataclasses.replace(recipe, model=WITHOUT_PIXELS, proxy=1.0)
    first, _ = built(codes, None, prior, omni)
    first.export(tmp_path / "model", first.model, "first")
    last = dataclasses.replace(recipe, stage=3, proxy=0.0)
    with pytest.raises(SweettokError, match=r"train stage 2 on it first, .* as --teacher\.$"):
        built(last, tmp_path / "model")
    second, _ = built(recipe, tmp_path / "model", None, omni)
    second.export(tmp_path / "model", second.model, "second")
    third, _ = built(last, tmp_path / "model")
    assert third.model.config.pixels


def test_codes_need_a_teacher_that_is_an_omnitokenizer(
    recipe: Recipe, prior: Path, model_folder: Path
) -> None:
    with pytest.raises(SweettokError, match=r"proxy = 0.5 needs the tokenizer.*--teacher, or set proxy=0"):
        built(recipe, None, prior)
    with pytest.raises(SweettokError, match="family sweettok; give an OmniTokenizer"):
        built(recipe, None, prior, model_folder)
    task, _ = built(dataclasses.replace(recipe, proxy=0.0), None, prior)
    task.sampler = type("Sampler", (), {"entries": []})()  # type: ignore[assignment]
    assert any("drawn at random and do not learn" in caution for caution in task.cautions())


def test_the_teacher_stays_out_of_what_is_kept(recipe: Recipe, prior: Path, omni: Path) -> None:
    task, _ = built(recipe, None, prior, omni)
    assert isinstance(task.teacher, Teacher)
    assert not any(p.requires_grad for p in task.teacher.network.parameters())
    ours = sum(p.numel() for p in task.model.parameters())
    assert ours == sum(p.numel() for _, p in task.parameter_groups()["model"])


def test_the_published_tokenizer_fits_the_published_network(prior: Path) -> None:
    """Without storage: every size and every tensor that is handed over."""
    teacher = Teacher.__new__(Teacher)
    teacher.folder = Path("published")
    teacher.network = lay_out(lambda: OmniTokenizer(OmniConfig()))
    network = lay_out(lambda: SweetTok(SweetTokConfig(), load_prior(prior)))
    teacher.check(network.config, [256])
    proxy = network.proxy_pixels
    assert proxy is not None
    for given, taken in ((teacher.network.decoder, proxy.decoder), (teacher.network.post_vq, proxy.project)):
        shapes = [{n: t.shape for n, t in half.state_dict().items()} for half in (given, taken)]
        assert shapes[0] == shapes[1]
    assert proxy.embeddings.shape == teacher.network.codebook.embeddings.shape


def test_packed_codes_teach_what_the_teacher_would(
    recipe: Recipe, clips: Path, prior: Path, omni: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of batches of first frames alone there are none packed: those are still computed."""
    cpu = torch.device("cpu")
    packing = Packing(sample=(64, 17), teacher=weights_of(omni))
    plan = Plan([clips], tmp_path / "samples", packing, encode=encoder_of(omni, cpu, 64, 17))
    assert pack(plan, Heard().progress, lambda _: None)["pieces"] == 6
    for file in (tmp_path / "samples").glob("*.index.json"):
        assert json.loads(file.read_text())["teacher"] == packing.teacher
    asked: list[int] = []
    codes = Teacher.codes

    def counted(self: Teacher, video: torch.Tensor) -> torch.Tensor:
        asked.append(video.shape[2])
        return codes(self, video)

    monkeypatch.setattr(Teacher, "codes", counted)
    still = dataclasses.replace(recipe, flip=False, proxy=1.0, pictures=0.5, steps=6)
    for out in ("packed", "computed"):
        if out == "computed":
            monkeypatch.setattr("sweettok_cli.data.sampler.Sampler.use_codes", lambda *_: None)
        run(still, tmp_path / "samples", tmp_path / out, None, prior, omni)
    assert 1 <= len(asked) - 6 < 6 and {*asked[:-6]} == {1} and {*asked[-6:]} == {1, 17}
    losses = [[line["losses"]["proxy"] for line in lines(tmp_path / out)] for out in ("packed", "computed")]
    assert losses[0] == losses[1]


def test_packed_codes_that_do_not_fit_are_said_or_refused(
    recipe: Recipe, clips: Path, prior: Path, omni: Path, tmp_path: Path
) -> None:
    task, _ = built(recipe, None, prior, omni)
    teacher, video = task.teacher, torch.zeros(1, 3, 17, 64, 64)
    assert teacher is not None
    right = teacher.codes(video).numpy()
    assert torch.equal(teacher.packed(right.astype("int32"), video), teacher.codes(video))
    for wrong in (right[:, :1], right + 64, right - right.max() - 1):
        with pytest.raises(SweettokError, match=r"beside samples of 17x64x64 are .* pack them again"):
            teacher.packed(wrong, video)
    with pytest.raises(SweettokError, match=r"cannot take samples of 17 frames of 60x60 .*change --sample"):
        encoder_of(omni, torch.device("cpu"), 60, 17)
    with pytest.raises(SweettokError, match=r"cannot take samples of 16 frames of 64x64 .*change --sample"):
        encoder_of(omni, torch.device("cpu"), 64, 16)
    packing = Packing(sample=(64, 17), teacher=weights_of(omni))
    plan = Plan([clips], tmp_path / "s", packing, encode=lambda sample: right[0])
    pack(plan, Heard().progress, lambda _: None)
    task = SweetTokTask(recipe, None, prior, omni)
    task.batches([tmp_path / "s"], None, 0, 1, Heard())
    assert "not used: flip and reverse change samples" in task._missing[0]
