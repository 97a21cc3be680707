"""VidTok trains: its losses written down, what learns in each stage, runs that go on, models in use."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate.state import AcceleratorState
from small_run import Heard
from task_runs import Felt, error_of, interrupted, lines, run, same, state

from sweettok_cli.cli.train import train as train_command
from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.frames import to_video
from sweettok_cli.models.registry import task_of
from sweettok_cli.models.vidtok.folder import read_network
from sweettok_cli.models.vidtok.task import VidTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.video.reader import read_clip
from sweettok_cli.video.writer import VideoWriter
from sweettok_cli.zoo.load import load

TINY = {"preset": "vidtok-small", "width": 8, "multipliers": [1, 1, 2, 2], "channels": 3}
CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_run_a_process", "without_downloads")


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    """Six steps of a tiny FSQ network, with the published weights and a discriminator from the third on."""
    published = load_recipe(None, "vidtok-fsq-stage1")
    return dataclasses.replace(
        published, model=TINY, steps=6, frames=5, fps=12.0, crop=[[32.0, 2.0, 1.0]], lr=1e-3, final_lr=1e-3,
        perceptual=0.0, discriminator_start=2, discriminator_width=4, precision="fp32", window=4,
        **{name: getattr(tiny, name) for name in ("checkpoint_every", "sample_every", "validate_every")},
        log_every=1, hold_out=1, workers=1, prefetch=2,
    )  # fmt: skip


def batch_of(seed: int = 0) -> Batch:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 5, 32, 32, 3), np.uint8)
    return Batch(pixels, ("a", "b"))


def test_losses_are_the_published_ones(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over frames, a learned variance, the adaptive weight, LeCam after its averages."""
    monkeypatch.setattr("sweettok_cli.models.common.grid_task.perceptual_distance", lambda *_: Felt())
    task = VidTokTask(dataclasses.replace(recipe, perceptual=1.0))
    task.build(CPU, Heard())
    logvar = task.critics["likelihood"].logvar
    logvar.data.fill_(0.3)
    step = task.losses(task.model, batch_of(), step=500)

    video = to_video(torch.from_numpy(batch_of().frames), reach=1.0)
    made, latents = task.model(video).reconstruction, task.model.encode_latent(video)
    frames, wanted = (v.transpose(1, 2).flatten(0, 1) for v in (made, video))
    felt = ((frames / 2 + 0.5).square() - (wanted / 2 + 0.5).square()).abs().mean()
    apart = (frames - wanted).abs() + felt
    unlikely = (apart / logvar.exp() + logvar).sum() / len(frames)
    assert step.losses["model"]["likelihood"].item() == pytest.approx(unlikely.item(), rel=1e-5)
    entropy = task.model.quantizer.loss(latents.permute(0, 2, 3, 4, 1), 500)
    assert step.losses["model"]["latents"].item() == pytest.approx(entropy.item(), rel=1e-5)

    judge = task.critics["discriminator"].discriminator
    real, fake = judge(wanted)[-1], judge(frames)[-1]
    taught = F.binary_cross_entropy_with_logits(fake.mean((1, 2, 3)), torch.ones(len(fake)))
    last = task.model.decoder.conv_out.conv.weight
    norms = [torch.autograd.grad(v, last, retain_graph=True)[0].norm() for v in (unlikely, taught)]
    expected = 0.2 * norms[0] / (norms[1] + 1e-4) * taught
    assert step.losses["model"]["adversarial"].item() == pytest.approx(expected.item(), rel=1e-4)
    hinge = 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())
    means = 0.001 * real.mean(), 0.001 * fake.mean()
    lecam = F.relu(real - means[1]).square().mean() + F.relu(means[0] - fake).square().mean()
    assert step.losses["discriminator"]["hinge"].item() == pytest.approx(hinge.item(), rel=1e-5)
    assert step.losses["discriminator"]["lecam"].item() == pytest.approx(0.005 * lecam.item(), rel=1e-4)
    assert set(task.losses(task.model, batch_of(), step=1).losses) == {"model"}, "it joins late"


def test_recipes_have_the_published_numbers() -> None:
    for kind, factor in (("fsq", 1.0), ("kl", 1e-6)):
        one, two = (load_recipe(n, f"vidtok-{kind}-stage{n}") for n in (1, 2))
        for recipe in (one, two):
            rates = (
                recipe.lr,
                recipe.final_lr,
                recipe.warmup,
                recipe.clip_norm,
                recipe.weight_decay,
                recipe.ema,
            )
            assert rates == (1e-5, 1e-5, 0, 20.0, 0.0, 0.0)
            assert (recipe.fps, recipe.discriminator_start, recipe.lecam) == (3.0, 20_001, 0.005)
            assert (recipe.l1, recipe.l2, recipe.perceptual, recipe.adversarial) == (2.0, 0.0, 1.0, 0.2)
        assert (one.crop, one.steps, one.quantizer) == ([[128.0, 16.0, 1.0]], 50_000, factor)
        assert (two.crop, two.steps) == ([[256.0, 8.0, 1.0]], 30_000)


@pytest.mark.parametrize(
    ("kind", "factor"), [("fsq", 1.0), ("vq", 1.0), ("kl", 1e-6)], ids=["fsq", "vq", "kl"]
)
def test_every_kind_learns_and_its_model_is_used(
    kind: str, factor: float, recipe: Recipe, tmp_path: Path
) -> None:
    """On what a tiny network learns soon: one colour."""
    (tmp_path / "clips").mkdir()
    with VideoWriter(tmp_path / "clips" / "red.mp4", 32, 32, Fraction(24)) as writer:
        for _ in range(12):
            writer.write(np.full((32, 32, 3), (230, 40, 30), np.uint8))
    recipe = dataclasses.replace(
        recipe, model={**TINY, "regularizer": kind}, quantizer=factor, lr=1e-2, final_lr=1e-2,
        steps=24, discriminator_start=22,
    )  # fmt: skip
    still = dataclasses.replace(recipe, steps=1, lr=1e-12, final_lr=0.0)
    run(still, tmp_path / "clips", tmp_path / "start")
    run(recipe, tmp_path / "clips", tmp_path / "run")
    errors = [line["losses"]["l1"] for line in lines(tmp_path / "run")]
    assert np.mean(errors[-4:]) < 0.6 * np.mean(errors[:4])
    assert ("codebooks" in lines(tmp_path / "run")[-1]) == (kind != "kl")
    clip = read_clip(tmp_path / "clips" / "red.mp4", 0, 5)
    before, after = (error_of(tmp_path / name / "model", clip) for name in ("start", "run"))
    assert after < 0.5 * before
    exported = ModelFolder(tmp_path / "run" / "model")
    assert exported.header.family == f"vidtok-{kind}"
    assert not any(name.startswith(("discriminator", "logvar")) for name in exported.state())


@pytest.mark.parametrize("kind", ["fsq", "vq", "kl"])
def test_the_second_stage_trains_the_decoder_alone(
    kind: str, recipe: Recipe, clips: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(recipe, model={**TINY, "regularizer": kind})
    run(dataclasses.replace(recipe, steps=1), clips, tmp_path / "one")
    second = dataclasses.replace(recipe, stage=2, crop=[[64.0, 2.0, 1.0]], steps=4)
    run(second, clips, tmp_path / "two", tmp_path / "one" / "model")
    before, after = (ModelFolder(tmp_path / name / "model").state() for name in ("one", "two"))
    frozen = {name for name in before if not name.startswith("decoder.")}
    assert ("quantizer.codes" in frozen) == (kind == "vq")
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    moved = [not torch.equal(before[name], after[name]) for name in before.keys() - frozen]
    assert all(moved)
    assert all("model/latents" not in line["losses"] for line in lines(tmp_path / "two"))


def test_resuming_is_bit_for_bit_with_the_discriminator(recipe: Recipe, clips: Path, tmp_path: Path) -> None:
    """Draws of latents go on where they were, too."""
    recipe = dataclasses.replace(recipe, model={**TINY, "regularizer": "kl"}, quantizer=1e-6)

    run(recipe, clips, tmp_path / "straight")
    halted = run(recipe, clips, tmp_path / "halves", task=interrupted(VidTokTask(recipe), 3))
    assert halted["interrupted"] and halted["step"] == 4
    torch.manual_seed(99)
    resumed = load_recipe(None, str(tmp_path / "halves" / "recipe.toml"))
    task = task_of(resumed, None, None)
    assert isinstance(task, VidTokTask), "what a run saves says whose it is"
    run(resumed, clips, tmp_path / "halves", task=task, resume=True)
    one, two = (state(tmp_path / name) for name in ("straight", "halves"))
    assert one.pop("seconds") != two.pop("seconds")
    assert one["critics"].keys() == {"likelihood", "discriminator"}
    assert one["critics"]["discriminator"]["lecam.real"] != 0 != one["critics"]["likelihood"]["logvar"]
    assert same(one, two)
    assert [line["losses"] for line in lines(tmp_path / "straight")] == [
        line["losses"] for line in lines(tmp_path / "halves")
    ]


@pytest.mark.parametrize("mixing", ["learned", "fixed"])
def test_shares_of_convolutions_are_learned_or_stay(
    mixing: str, recipe: Recipe, clips: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(
        recipe, model={**TINY, "mixing": mixing}, steps=3, discriminator_sees="clips"
    )
    run(recipe, clips, tmp_path / "run")
    network = read_network(ModelFolder(tmp_path / "run" / "model"))
    shares = {name: p for name, p in network.named_parameters() if name.endswith("mix_factor")}
    assert len(shares) == 4
    assert all((p.item() == 2.0) == (mixing == "fixed") for p in shares.values())
    assert all(p.requires_grad == (mixing == "learned") for p in shares.values())


def test_stages_are_commanded_in_a_row_from_a_published_network(
    clips: Path, families: dict[str, Path], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    brief = [
        *("steps=2", "precision=fp32", "frames=5", "crop=[[32, 2, 1]]", "hold_out=1", "prefetch=2"),
        *("log_every=1", "checkpoint_every=0", "sample_every=0", "validate_every=0", "workers=1"),
        *("without_features=train", "discriminator_start=1", "discriminator_width=4"),
    ]
    start = families["vidtok-kl-causal"]
    given: dict[str, Any] = {"data": [clips], "settings": brief, "quiet": True}
    train_command(config="vidtok-kl-stage1", init=str(start), out=one, **given)
    AcceleratorState._reset_state(reset_partial_state=True)
    train_command(stage=2, init=str(one), out=two, **given)
    recipe = load_recipe(None, str(two / "recipe.toml"))
    assert (recipe.stage, recipe.quantizer, recipe.clip_norm) == (2, 1.0, 20.0), "that of vidtok-kl-stage2"
    assert recipe.model["width"] == 8
    first, last = (ModelFolder(folder).state() for folder in (start, two / "model"))
    assert first.keys() == last.keys()
    assert all((a - last[name]).abs().max() < 1e-3 for name, a in first.items())
    tokens = load(str(two), device="cpu").encode(clips / "inner" / "loose0.mp4")
    assert tokens.arrays["latents"].shape[1] == 4

    AcceleratorState._reset_state(reset_partial_state=True)
    third = tmp_path / "three"
    with pytest.raises(SweettokError, match="holds a kl network, and the recipe is for fsq"):
        train_command(config="vidtok-fsq-stage1", init=str(start), out=third, **given)
    wrong = r"holds a vidtok-kl, and the recipe is for another; choose --config .*vidtok-kl-stage1"
    with pytest.raises(SweettokError, match=wrong):
        train_command(data=[clips], stage=2, init=str(start), out=third, quiet=True)
    assert not third.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stage": 3}, "VidTok has no stage 3"),
        ({"frames": 4}, r"gives back 1 \+ 4 \* k frames, not 4"),
        ({"model": {**TINY, "causal": False}}, r"gives back 0 \+ 4 \* k frames, not 5"),
        (
            {"model": {**TINY, "causal": False}, "frames": 4, "alternate": 1},
            "not 1; change frames or pictures",
        ),
        (
            {"crop": [[36.0, 1.0, 1.0]]},
            r"multiples of 8 pixels, and crop has 36; for example --set \"crop=\[\[32, 1, 1",
        ),
        ({"crop": [[16.0, 1.0, 1.0]]}, "discriminator of frames needs 24 pixels, and crop has 16"),
        ({"model": {**TINY, "widht": 3}}, "'widht' is no setting; did you mean width"),
        ({"model": {"preset": "vidtok-fsq-causal-489-8"}}, "no network 'vidtok-fsq-causal-489-8'"),
        ({"proxy": 0.5}, "learns no proxy codes"),
        ({"perceptual": 1.0}, "is not on this machine"),
    ],
)
def test_what_it_cannot_train_is_named(changes: dict[str, Any], words: str, recipe: Recipe) -> None:
    with pytest.raises(SweettokError, match=words):
        VidTokTask(dataclasses.replace(recipe, **changes)).build(CPU, Heard())


def test_words_are_not_for_vidtok(recipe: Recipe, prior: Path) -> None:
    with pytest.raises(SweettokError, match="has no words; give no word prior"):
        task_of(recipe, None, prior)


def test_an_untrained_encoder_is_not_frozen_without_a_word(recipe: Recipe) -> None:
    task = VidTokTask(dataclasses.replace(recipe, stage=2))
    task.build(CPU, Heard())
    assert "stage 2 freezes an encoder that nothing has trained" in task.cautions()[0]
