"""The published discriminators and losses of the last stage, against their golden values."""

from __future__ import annotations

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.discriminator import (
    CLIPS,
    NAMES,
    VIDTOK_CLIPS,
    VIDTOK_FRAMES,
    DiscriminatorConfig,
    PatchDiscriminator,
    load_published_discriminator,
)
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.losses.adversarial import Adversary
from sweettok_cli.training.losses.reconstruction import reconstruction_losses
from sweettok_cli.training.optimizer import learning_rate
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe

from .rule import Case, case_folder

CLOSE = 1e-5
PREFIX = "video_discriminator."


@pytest.fixture(scope="module")
def losses() -> Case:
    return Case(case_folder("losses"))


def loaded(case: Case, config: DiscriminatorConfig, prefix: str) -> PatchDiscriminator:
    model = PatchDiscriminator(config)
    load_published_discriminator(model, case.weights(prefix), prefix)
    return model.eval()


@pytest.mark.parametrize(("kind", "config"), [("d2", VIDTOK_FRAMES), ("d3", VIDTOK_CLIPS)])
def test_vidtoks_discriminators(kind: str, config: DiscriminatorConfig) -> None:
    case = Case(case_folder("vidtok_disc"))
    model = loaded(case, config, f"{kind}.")
    with torch.no_grad():
        seen = case.input_video(f"vd_{kind}")
        assert case.error(f"{kind}:logits_eval", model(seen)[-1]) < CLOSE
        assert case.error(f"{kind}:logits_train", model.train()(seen)[-1]) < CLOSE


@pytest.mark.parametrize(
    ("name", "prefix", "config"),
    [
        ("losses", PREFIX, CLIPS),
        ("vidtok_disc", "d2.", VIDTOK_FRAMES),
        ("vidtok_disc", "d3.", VIDTOK_CLIPS),
    ],
)
def test_every_published_tensor_has_a_place(name: str, prefix: str, config: DiscriminatorConfig) -> None:
    keys = json.loads((case_folder(name) / "keys.json").read_text())
    published = {
        NAMES.our_name(key.removeprefix(prefix)): spec["shape"]
        for key, spec in keys.items()
        if key.startswith(prefix)
    }
    own = PatchDiscriminator(config).state_dict()
    assert published == {key: list(tensor.shape) for key, tensor in own.items()}


def test_sweettoks_discriminator(losses: Case) -> None:
    model = loaded(losses, CLIPS, PREFIX)
    real = losses.input_video("disc_real")
    with torch.no_grad():
        found = model(real)
        for stage, features in enumerate(found):
            assert losses.error(f"disc3d:feat{stage}", features) < CLOSE
        assert losses.error("disc3d:logits", found[-1]) < CLOSE
        assert losses.error("disc3d:logits_train", model.train()(real)[-1]) < 10 * CLOSE


def test_terms_of_the_last_stage(losses: Case) -> None:
    """With the weights of the shipped recipe, before and after there is a discriminator."""
    recipe = load_recipe(3, "compact-ucf101-stage3")
    scalars = losses.manifest["scalars"]
    adversary = Adversary(loaded(losses, CLIPS, PREFIX), recipe)
    real, fake = losses.input_video("disc_real"), losses.input_video("disc_fake")
    pixels = reconstruction_losses(fake, real, recipe)
    assert list(pixels) == ["l2"]
    assert pixels["l2"].item() == pytest.approx(scalars["stage2_gen@0:total_loss"], rel=1e-6)
    with torch.no_grad():
        of_decoder, own = adversary(fake, real)
    start = recipe.discriminator_start
    assert of_decoder["adversarial"].item() == pytest.approx(
        scalars[f"stage2_gen@{start}:weighted_gan_loss"], abs=1e-7
    )
    together = torch.stack([*pixels.values(), *of_decoder.values()]).sum()
    assert together.item() == pytest.approx(scalars[f"stage2_gen@{start}:total_loss"], rel=1e-5)
    assert own["hinge"].item() == pytest.approx(scalars[f"stage2_disc@{start}:discriminator_loss"], rel=1e-5)
    assert sum(own.values()).item() == own["hinge"].item(), "LeCam's term is off, as published"


def written_down(weights: dict[str, Tensor]) -> nn.ModuleList:
    """SweetTok's discriminator layer by layer, under its published names."""
    widths = (3, 64, 128, 256, 512, 1)
    stages = nn.ModuleList()
    for stage in range(5):
        conv = nn.Conv3d(*widths[stage : stage + 2], 4, 2 if stage < 3 else 1, 2)
        norm = nn.BatchNorm3d(widths[stage + 1])
        layers = {0: [conv], 1: [nn.Identity(), conv, norm], 2: [nn.Identity(), conv, norm]}
        stages.append(nn.Sequential(*layers.get(stage, [conv, norm]), nn.LeakyReLU(0.2)))
    state = {name.removeprefix(PREFIX).replace("model", ""): value for name, value in weights.items()}
    stages.load_state_dict(state, strict=False)
    return stages


def test_one_step_of_both_optimizers_is_that_of_the_published_code(losses: Case) -> None:
    """In float64, against the published step written down: decoder first, then discriminator, each alone.

    The decoder is a filter on what is to be made; batch statistics, clipping to norm 1, AdamW.
    """
    recipe = load_recipe(3, "compact-ucf101-stage3")
    weights = losses.weights(PREFIX)
    real = losses.input_video("disc_real")[:, :, :5, :32, :32].double()
    blurred = losses.input_video("disc_fake")[:, :, :5, :32, :32].double()

    def decoder() -> nn.Conv3d:
        torch.manual_seed(0)
        return nn.Conv3d(3, 3, 3, padding=1).double()

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.AdamW:
        return torch.optim.AdamW(parameters, 1e-4, (0.9, 0.999), weight_decay=1e-4)

    ours, judge = decoder(), PatchDiscriminator(CLIPS)
    load_published_discriminator(judge, weights, PREFIX)
    adversary = Adversary(judge.double().train(), recipe)
    made = ours(blurred)
    of_decoder, own = adversary_in_double(adversary, made, real)
    of_decoder["l2"] = 4 * F.mse_loss(made, real)
    step(of_decoder, list(ours.parameters()), optimizer, retain=True)
    step(own, list(judge.parameters()), optimizer)

    theirs, published = decoder(), written_down(weights).double().train()
    made = theirs(blurred)
    published.requires_grad_(False)
    fake_features, real_features = outputs(published, made), outputs(published, real)
    matching = sum(
        F.l1_loss(a, b.detach()) * 0.01 for a, b in zip(fake_features[:-1], real_features[:-1], strict=True)
    )
    loss = F.mse_loss(made, real) * 4 - 0.01 * fake_features[-1].mean() + 4 * matching
    step({"all": loss}, list(theirs.parameters()), optimizer)
    published.requires_grad_(True)
    logits_real, logits_fake = outputs(published, real)[-1], outputs(published, made.detach())[-1]
    hinge = 0.5 * (F.relu(1 - logits_real).mean() + F.relu(1 + logits_fake).mean())
    step({"all": 0.01 * hinge}, list(published.parameters()), optimizer)

    start = decoder().weight
    assert (ours.weight - start).abs().max() > 5e-5
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-9, atol=1e-12)
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-12)
    for (name, one), two in zip(judge.named_parameters(), published.parameters(), strict=True):
        # A bias before a batch norm has no gradient but rounding.
        if not name.endswith("conv.bias") or name == "stages.0.conv.bias":
            assert torch.allclose(one.grad, two.grad, rtol=1e-7, atol=1e-14), name
            assert torch.allclose(one, two, rtol=1e-7, atol=1e-9), name


def adversary_in_double(
    adversary: Adversary, made: Tensor, real: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "float", lambda tensor: tensor)
        return adversary(made, real)


def outputs(stages: nn.ModuleList, x: Tensor) -> list[Tensor]:
    found = []
    for stage in stages:
        x = stage(x)
        found.append(x)
    return found


def step(terms: dict, parameters: list[nn.Parameter], optimizer, retain: bool = False) -> None:  # type: ignore
    torch.stack(list(terms.values())).sum().backward(inputs=parameters, retain_graph=retain)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer(parameters).step()


def test_learning_rates_and_averages(losses: Case) -> None:
    """Published warm-up begins at 0, a step that moves nothing; ours is one step ahead until it is over."""
    scalars = losses.manifest["scalars"]
    recipes = {
        "stage1": Recipe(lr=5e-5, final_lr=1e-5, warmup=0, steps=150_000),
        "stage2": load_recipe(3, "compact-ucf101-stage3"),
    }
    for name, value in scalars.items():
        kind, _, number = name.partition("@")
        recipe, step = recipes.get(kind.removeprefix("lr:")), int(number.partition(":")[0] or 0)
        if recipe is None or step > recipe.steps:
            continue
        if 0 < step <= recipe.warmup:
            step -= 1
        elif step < recipe.warmup:
            assert value == 0
            continue
        assert learning_rate(recipe, step, 0.0) == pytest.approx(value, rel=1e-9), name
    for name, decay in scalars.items():
        if name.startswith("ema_decay@"):
            averaged = EMA(nn.Linear(1, 1), 0.999)
            averaged.update(nn.Linear(1, 1), int(name.partition("@")[2]) - 1)
            expected = decay if name != "ema_decay@1" else 0.1  # the first call copies
            assert math.isclose(1 - averaged._weight, expected, rel_tol=1e-9), name
