"""OmniTokenizer trains: its losses written down, stages in a row, runs that go on, models in use."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate.state import AcceleratorState
from PIL import Image
from small_omni import TINY
from small_run import TINY_NETWORK, Heard
from task_runs import Felt, error_of, interrupted, lines, run, same, state

from sweettok_cli.cli.train import train as train_command
from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.frames import to_video
from sweettok_cli.models.omnitokenizer.folder import read_network
from sweettok_cli.models.omnitokenizer.task import OmniTokenizerTask
from sweettok_cli.models.registry import task_of
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.optimizer import learning_rate
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.zoo.load import load

NETWORK = {"preset": "omnitokenizer-small", **TINY}
CPU = torch.device("cpu")
PUBLISHED = {n: load_recipe(n, f"omnitokenizer-stage{n}") for n in (1, 2, 3)}


pytestmark = pytest.mark.usefixtures("one_run_a_process", "without_downloads")


def recipe_of(stage: int, **changes: Any) -> Recipe:
    """Four steps of a tiny network, with the published weights and a discriminator from the start."""
    published = PUBLISHED[stage]
    brief: dict[str, Any] = {
        "model": {**NETWORK, "regularizer": published.model.get("regularizer", "vq")},
        **{"steps": 4, "crop": [[32.0, 2.0, 1.0]], "frames": min(5, published.frames)},
        **{"perceptual": 0.0, "discriminator_width": 4, "discriminator_warmup": 0, "warmup": 0},
        **{"lr": 1e-3, "final_lr": 1e-3, "window": 4, "log_every": 1, "hold_out": 1, "prefetch": 2},
        **{"workers": 1, "checkpoint_every": 0, "sample_every": 0, "validate_every": 0, "init_samples": 2},
    }
    return dataclasses.replace(published, **{**brief, **changes})


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """A folder of two clips and three pictures."""
    folder = tmp_path_factory.mktemp("mixed")
    for number in range(2):
        (folder / f"{number}.mp4").write_bytes((clips / "inner" / f"loose{number}.mp4").read_bytes())
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels.repeat(8, 0).repeat(8, 1)).save(folder / f"{number}.png")
    return folder


def batch_of(frames: int) -> Batch:
    pixels = np.random.default_rng(0).integers(0, 256, (2, frames, 32, 32, 3), np.uint8)
    return Batch(pixels, ("a", "b"))


@pytest.mark.parametrize(("stage", "frames"), [(1, 1), (2, 5), (2, 1), (3, 5)])
def test_losses_are_the_published_ones(stage: int, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1, LPIPS of half the range on a random frame, commitment or KL, what is judged of which batch."""
    monkeypatch.setattr("sweettok_cli.models.common.grid_task.perceptual_distance", lambda *_: Felt())
    task = OmniTokenizerTask(recipe_of(stage, perceptual=4.0, init_samples=0))
    task.build(CPU, Heard())
    codes = None if stage == 3 else task.model.codebook.embeddings.clone()
    torch.manual_seed(5)
    step = task.losses(task.model, batch_of(frames), step=0)

    video = to_video(torch.from_numpy(batch_of(frames).frames))
    torch.manual_seed(5)
    if stage == 3:
        found = task.model.distribution(video)
        made = task.model.decode(found.sample())
        kl = 0.5 * (found.mean**2 + found.logvar.exp() - 1 - found.logvar).sum() / 2
        latents = 1e-6 * kl
    else:
        z = task.model.latents(video)
        rows = codes[torch.cdist(z.flatten(0, -2), codes).argmin(-1)].view_as(z)
        made, latents = task.model.decode_vectors(rows), 0.25 * F.mse_loss(z, rows)
    chosen = torch.randint(frames, (2,))
    one, two = (v[[0, 1], :, chosen] for v in (made, video))
    felt = Felt()(one / 2 + 0.5, two / 2 + 0.5)
    terms = step.losses["model"]
    assert terms["l1"].item() == pytest.approx(4 * (made - video).abs().mean().item(), rel=1e-4)
    assert terms["perceptual"].item() == pytest.approx(4 * felt.item(), rel=1e-4)
    assert terms["latents"].item() == pytest.approx(latents.item(), rel=1e-4)
    assert ("l2" in terms) is False

    if stage == 2 and frames == 1:
        assert set(step.losses) == {"model"} and "adversarial" not in terms, "nobody judges pictures"
        return
    judge = task.critics["discriminator"].discriminator
    seen = [v[:, :, 0] if stage == 1 else v for v in (video, made)]
    real, fake = judge(seen[0]), judge(seen[1])
    assert judge.noise is not None and len(real) == 5
    apart = sum((a - b).abs().mean() for a, b in zip(real[:4], fake[:4], strict=True))
    hinge = 0.5 * (F.relu(1 - real[-1]).mean() + F.relu(1 + fake[-1]).mean())
    assert terms["adversarial"].item() == pytest.approx(-0.01 * fake[-1].mean().item(), rel=1e-3, abs=1e-7)
    assert terms["features"].item() == pytest.approx(4 * apart.item(), rel=1e-3)
    assert step.losses["discriminator"]["hinge"].item() == pytest.approx(0.01 * hinge.item(), rel=1e-3)
    if codes is not None:
        assert not torch.equal(task.model.codebook.embeddings, codes), "codes follow the pass"
        assert task.averages is not None
        count = 0.99 * 50 + 0.01 * 2 * (1 + frames // 4) * 16
        assert task.averages.counts.sum().item() == pytest.approx(count, rel=1e-5)


def test_recipes_have_the_published_numbers() -> None:
    """A batch is half a step where clips and pictures go by turns."""
    for stage, recipe in PUBLISHED.items():
        rest = recipe.betas, recipe.weight_decay, recipe.ema, recipe.clip_norm, recipe.precision
        assert rest == ([0.5, 0.9], 0.0, 0.0, 1.0, "fp32")
        assert (recipe.l1, recipe.l2, recipe.perceptual, recipe.feature_matching) == (4.0, 0.0, 4.0, 4.0)
        assert (recipe.adversarial, recipe.discriminator, recipe.discriminator_rest) == (0.01, 0.01, 0.001)
        assert recipe.steps * recipe.accumulate == recipe.discriminator_warmup * recipe.accumulate == 500_000
        assert recipe.warmup * recipe.accumulate == 50_000
        assert recipe.quantizer == (1e-6 if stage == 3 else 1.0)
        assert recipe.discriminator_sees == ("frames" if stage == 1 else "clips")
        task = OmniTokenizerTask(recipe)
        when = task.begin("discriminator"), task.warmup("discriminator")
        assert learning_rate(recipe, recipe.steps - 1, 1.0, *when) == pytest.approx(recipe.lr)
        assert learning_rate(recipe, recipe.steps // 2, 0.5, *when) == pytest.approx(recipe.lr / 2, rel=1e-4)
        assert recipe.lr_factors == {"discriminator": 0.1}
    assert (PUBLISHED[1].lr, PUBLISHED[1].final_lr, PUBLISHED[1].crop) == (1e-3, 5e-5, [[256.0, 8.0, 1.0]])
    for stage in (2, 3):
        recipe = PUBLISHED[stage]
        assert (recipe.lr, recipe.final_lr, recipe.alternate, recipe.accumulate) == (5e-5, 5e-5, 2, 2)
        assert [crop[:2] for crop in recipe.crop] == [[side, 4.0] for side in (128.0, 192.0, 256.0, 320.0)]


def test_every_stage_learns_and_its_model_is_used(tmp_path: Path) -> None:
    """On what a tiny network learns soon: one colour; each from the averaged weights of the one before."""
    (tmp_path / "red").mkdir()
    pixels = np.full((32, 32, 3), (230, 40, 30), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "red" / "red.png")
    clip = np.broadcast_to(pixels, (5, *pixels.shape)).copy()
    errors: list[float] = []
    before: Path | None = None
    for stage, steps in ((1, 20), (2, 12), (3, 12)):
        out = tmp_path / f"run{stage}"
        recipe = recipe_of(stage, steps=steps, lr=1e-2, final_lr=1e-2, alternate=0, accumulate=1)
        heard = Heard()
        task = task_of(recipe, before, None)
        run(recipe, tmp_path / "red", out, before, task=task, voice=heard)
        learned = [line["losses"]["model/l1"] for line in lines(out)]
        assert np.mean(learned[-4:]) < (0.7 if stage == 1 else 0.97) * np.mean(learned[:4])
        assert ("codebooks" in lines(out)[-1]) == (stage != 3)
        before = out / "model"
        exported = ModelFolder(before)
        assert exported.header.family == ("omnitokenizer-vae" if stage == 3 else "omnitokenizer")
        assert exported.header.source == {"stages": list(range(1, stage + 1))}
        said = {2: "layers of later frames begin", 3: "make way for continuous latents"}
        assert stage == 1 or any(said[stage] in line for line in heard.said)
        errors.append(error_of(before, clip))
    assert max(errors[1:]) < 0.5 * errors[0], "after stage 1, later frames are painted by nobody"
    tokens = load(str(before), device="cpu").encode(clip)
    assert tokens.arrays["latents"].shape == (1, 8, 5, 4, 4), "clips of 17 frames"


def test_codes_of_a_new_network_are_latents_of_its_first_samples(mixed: Path) -> None:
    def furthest(**changes: Any) -> float:
        """How far a code is at most from the nearest of these latents."""
        task = OmniTokenizerTask(recipe_of(1, **changes))
        task.batches([mixed], None, 0, 1, Heard())
        task.build(CPU, Heard())
        with torch.no_grad():
            latents = task.model.latents(to_video(torch.from_numpy(task.sampler.first(2).frames)))
        apart = task.model.codebook.embeddings[:, None] - latents.flatten(0, -2)
        return apart.square().sum(-1).amin(-1).max().item()

    assert furthest(init_samples=2) < 1e-3 < 0.1 < furthest(init_samples=0)


@pytest.mark.parametrize("stage", [2, 3])
def test_resuming_is_bit_for_bit_with_all_that_learns(stage: int, mixed: Path, tmp_path: Path) -> None:
    """Clips and pictures by turns; draws of latents and noise go on where they were, too."""
    recipe = recipe_of(stage, restart=0.5)
    run(recipe, mixed, tmp_path / "straight")
    halted = run(recipe, mixed, tmp_path / "halves", task=interrupted(task_of(recipe, None, None), 2))
    assert halted["interrupted"] and halted["step"] == 3
    torch.manual_seed(99)
    resumed = load_recipe(None, str(tmp_path / "halves" / "recipe.toml"))
    task = task_of(resumed, None, None)
    assert isinstance(task, OmniTokenizerTask), "what a run saves says whose it is"
    run(resumed, mixed, tmp_path / "halves", task=task, resume=True)
    one, two = (state(tmp_path / name) for name in ("straight", "halves"))
    assert one.pop("seconds") != two.pop("seconds")
    assert one["critics"].keys() == ({"codebook"} if stage == 2 else set()) | {"discriminator"}
    assert same(one, two)
    assert [line["losses"] for line in lines(tmp_path / "straight")] == [
        line["losses"] for line in lines(tmp_path / "halves")
    ]


def test_the_discriminator_rests_where_it_knows(mixed: Path, tmp_path: Path) -> None:
    for name, rest in (("learns", 0.0), ("rests", 1.0)):
        run(recipe_of(2, steps=2, discriminator_rest=rest), mixed, tmp_path / name)
        (line, _) = lines(tmp_path / name)
        assert "model/features" in line["losses"]
        assert ("discriminator/hinge" in line["losses"]) == (name == "learns")
    found = {n: state(tmp_path / n)["critics"]["discriminator"] for n in ("learns", "rests")}
    weights = [n for n in found["learns"] if n.endswith("conv.weight")]
    assert all(not torch.equal(found["learns"][n], found["rests"][n]) for n in weights)
    assert not any(found["rests"]["discriminator.noise.weight"])


def test_stages_are_commanded_in_a_row_and_teach_sweettok(
    mixed: Path, clips: Path, prior: Path, families: dict[str, Path], tmp_path: Path
) -> None:
    """From published networks, too, with codes and without."""
    brief = [
        *("steps=2", "precision=fp32", "crop=[[64, 2, 1]]", "hold_out=1", "prefetch=2", "workers=1"),
        *("log_every=1", "checkpoint_every=0", "sample_every=0", "validate_every=0"),
        *("without_features=train", "discriminator_width=4"),
    ]
    given: dict[str, Any] = {"data": [mixed], "quiet": True}
    small = {
        "dim": 32,
        "heads": 2,
        "head_dim": 16,
        "codes": 64,
        "encoder_spatial": "tw",
        "decoder_spatial": "t",
    }
    network = [f"model.{key}={json.dumps(value)}" for key, value in small.items()]
    one, two = tmp_path / "one", tmp_path / "two"
    first = [*brief, "model.preset=omnitokenizer-small", *network, "init_samples=2"]
    train_command(config="omnitokenizer-stage1", out=one, settings=first, **given)
    AcceleratorState._reset_state(reset_partial_state=True)
    train_command(stage=2, init=str(one), out=two, settings=brief, **given)
    assert load_recipe(None, str(two / "recipe.toml")).alternate == 2, "that of omnitokenizer-stage2"
    for start in (families["omnitokenizer"], families["omnitokenizer-vae"]):
        AcceleratorState._reset_state(reset_partial_state=True)
        out = tmp_path / start.name
        train_command(config="omnitokenizer-stage3", init=str(start), out=out, settings=brief, **given)
        tuned, published = read_network(ModelFolder(out / "model")), read_network(ModelFolder(start))
        assert tuned.config.regularizer == "kl" and ModelFolder(out / "model").header.source == {}
        apart = (tuned.post_vq.weight - published.post_vq.weight).abs().max()
        assert 0 < apart < 1e-3

    AcceleratorState._reset_state(reset_partial_state=True)
    taught = {**TINY_NETWORK, "proxy_codes": 64, "proxy_hidden": 16, "scrambled": True}
    taught |= {"pixel_spatial": "t", "pixel_temporal": "t"}
    learner = [f"model.{key}={json.dumps(value)}" for key, value in taught.items() if key != "preset"]
    train_command(
        data=[clips], quiet=True, config="compact-ucf101-stage2", prior=str(prior), teacher=str(two),
        out=tmp_path / "taught", settings=[*brief, *learner, "init_samples=0", "pictures=0"],
    )  # fmt: skip
    assert ["proxy" in line["losses"] for line in lines(tmp_path / "taught")] == [True, False]
    proxy = read_model(ModelFolder(tmp_path / "taught" / "model")).network.proxy_pixels
    codes = read_network(ModelFolder(two / "model")).codebook.embeddings
    assert proxy is not None and torch.allclose(proxy.embeddings, codes, atol=2e-3)
    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(SweettokError, match="holds a continuous OmniTokenizer, which has no codes to learn"):
        train_command(
            data=[clips], quiet=True, config="compact-ucf101-stage2", prior=str(prior),
            teacher=str(families["omnitokenizer-vae"]), out=tmp_path / "no", settings=[*brief, *learner],
        )  # fmt: skip
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("stage", "changes", "words"),
    [
        (2, {"frames": 4}, r"takes 1 \+ 4 \* k frames, not 4"),
        (1, {"crop": [[48.0, 1.0, 1.0]]}, "multiples of 32 pixels, and crop has 48"),
        (1, {"model": {**NETWORK, "widnow": 3}}, "'widnow' is no setting; did you mean window"),
        (1, {"model": {"preset": "omnitokenizer-large"}}, "no network 'omnitokenizer-large'"),
        (1, {"model": {**NETWORK, "regularizer": "kl"}}, "Stage 1 does not train a network continuous"),
        (3, {"model": NETWORK}, "Stage 3 does not train a network with codes"),
        (2, {"proxy": 0.5}, "learns no proxy codes"),
        (2, {"perceptual": 1.0}, "is not on this machine"),
    ],
)
def test_what_it_cannot_train_is_named(stage: int, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SweettokError, match=words):
        OmniTokenizerTask(recipe_of(stage, **changes)).build(CPU, Heard())


def test_words_are_not_for_omnitokenizer_nor_its_forms_for_every_stage(
    prior: Path, families: dict[str, Path]
) -> None:
    with pytest.raises(SweettokError, match="has no words; give no word prior"):
        task_of(recipe_of(1), None, prior)
    task = task_of(recipe_of(2), families["omnitokenizer-vae"], None)
    with pytest.raises(SweettokError, match="Stage 2 does not train a network continuous"):
        task.build(CPU, Heard())


def test_orders_in_which_little_is_learned_are_warned_of(mixed: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes((mixed / f"{number}.png").read_bytes())

    def cautions(stage: int, data: Path, **changes: Any) -> str:
        task = OmniTokenizerTask(recipe_of(stage, **changes))
        task.batches([data], None, 0, 1, Heard())
        task.build(CPU, Heard())
        return "; ".join(task.cautions())

    assert cautions(1, tmp_path) == ""
    assert "set frames=1" in cautions(1, mixed, frames=5)
    assert "begins with a new network, and not with that of stage 1" in cautions(2, mixed)
    assert "all training files are pictures" in cautions(2, tmp_path)
    assert "sees single pictures only (frames = 1" in cautions(3, mixed, frames=1)
