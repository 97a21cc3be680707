"""The loop knows no family: a small VidTok trains on its pixels, each half by an optimizer of its own."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import VIDTOK
from small_run import Heard
from torch import Tensor, nn

from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.storage.model_folder import write_model
from sweettok_cli.training.clips import ClipTask
from sweettok_cli.training.log import Voice
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.losses.reconstruction import mean_squared_error, reconstruction_losses
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.task import Step
from sweettok_cli.zoo.load import load

CONFIG = VidTokConfig(**VIDTOK, regularizer="kl", channels=4)  # type: ignore[arg-type]


class Autoencoder(nn.Module):
    """Clips through the mean of their latents and back: what several processes would share."""

    def __init__(self) -> None:
        super().__init__()
        self.network = VidTok(CONFIG)

    def forward(self, video: Tensor) -> Tensor:
        return self.network.decode(self.network.encode(video).mean, video.shape[2])  # type: ignore[union-attr]


class VidTokTask(ClipTask):
    title = "a small VidTok on its pixels"
    model: Autoencoder

    @property
    def multiple(self) -> int:
        return CONFIG.space_factor

    def build(self, device: torch.device, voice: Voice, until: float = math.inf) -> None:
        self.device, self.model = device, Autoencoder().to(device)

    def resume(self, device: torch.device, exported: Path, model: Mapping[str, Tensor]) -> None:
        self.build(device, Heard())

    def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
        named = list(self.model.named_parameters())
        return {
            half: [(n, p) for n, p in named if n.startswith(f"network.{half}")]
            for half in ("encoder", "decoder")
        }

    def losses(self, model: nn.Module, batch: Batch, step: int) -> Step:
        video = to_video(self.on_device(batch.frames))
        made = model(2 * video) / 2
        terms = reconstruction_losses(made, video, self.recipe)
        # The encoder learns from half of the decoder's loss: two sums over one graph.
        halves = {name: term / 2 for name, term in terms.items()}
        return Step({"encoder": halves, "decoder": terms}, {"mse": mean_squared_error(made, video)})

    def reconstruct(self, weights: nn.Module, frames: np.ndarray) -> np.ndarray:
        return to_frames(weights(to_video(self.on_device(frames), reach=1.0)), reach=1.0).cpu().numpy()

    def export(self, folder: Path, weights: nn.Module, name: str) -> None:
        assert isinstance(weights, Autoencoder)
        config, state = dataclasses.asdict(CONFIG), weights.network.state_dict()
        write_model(folder, name=name, family="vidtok-kl", config=config, state=state)


pytestmark = pytest.mark.usefixtures("one_run_a_process")


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    return dataclasses.replace(
        tiny, crop=[[32, 2, 1.0]], lr=2e-3, model={}, validate_every=50, sample_every=50
    )


def run(recipe: Recipe, clips: Path, out: Path, **options: Any) -> dict[str, Any]:
    summary = train(
        RunOptions(
            VidTokTask(recipe),
            recipe,
            RunRecord.of([clips], options.pop("val", None), None, None),
            out,
            **options,
        ),
        Heard(),
    )
    assert summary is not None
    return summary


def final_state(out: Path) -> dict[str, Any]:
    return torch.load(max((out / "checkpoints").iterdir()) / "state.pt", weights_only=True)


def test_it_learns_and_its_model_encodes(recipe: Recipe, clips: Path, tmp_path: Path) -> None:
    summary = run(
        dataclasses.replace(recipe, steps=24, lr=5e-3), clips, tmp_path / "run", val=clips / "inner"
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["kind"] == "train"]
    assert trained[-1]["losses"]["decoder/l2"] < 0.9 * trained[0]["losses"]["decoder/l2"]
    assert trained[0]["losses"]["encoder/l2"] == pytest.approx(trained[0]["losses"]["decoder/l2"] / 2)
    assert summary["validation_psnr"] == lines[-1]["psnr"]
    assert (tmp_path / "run" / "samples" / "00000024.png").is_file()
    model = load(summary["model"], device="cpu")
    assert model.encode(np.zeros((17, 32, 32, 3), np.uint8)).arrays["latents"].shape == (1, 4, 5, 4, 4)


def test_each_optimizer_moves_its_own_half(recipe: Recipe, clips: Path, tmp_path: Path) -> None:
    """The gradient of the halved loss reaches the encoder only: half of what one optimizer would give it."""

    class Whole(VidTokTask):
        def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
            return {"all": list(self.model.named_parameters())}

        def losses(self, model: nn.Module, batch: Batch, step: int) -> Step:
            found = super().losses(model, batch, step)
            return Step({"all": found.losses["decoder"]}, found.measures)

    plain = dataclasses.replace(recipe, steps=1, clip_norm=0.0)
    run(plain, clips, tmp_path / "halves")
    train(
        RunOptions(Whole(plain), plain, RunRecord.of([clips], None, None, None), tmp_path / "whole"), Heard()
    )
    apart, whole = (final_state(tmp_path / name)["optimizers"] for name in ("halves", "whole"))
    assert set(apart) == {"encoder", "decoder"}
    moments = {name: [m["exp_avg"] for m in o["state"].values()] for name, o in (apart | whole).items()}
    norms = {
        name: torch.linalg.vector_norm(torch.cat([m.flatten() for m in found]))
        for name, found in moments.items()
    }
    assert min(norms.values()) > 0
    together = norms["decoder"] ** 2 + (2 * norms["encoder"]) ** 2
    assert together.sqrt().item() == pytest.approx(norms["all"].item(), rel=1e-4)


def test_resuming_is_bit_for_bit(recipe: Recipe, clips: Path, tmp_path: Path) -> None:
    class Signalled(VidTokTask):
        """Sends a signal to this process in the third step."""

        def losses(self, model: nn.Module, batch: Batch, step: int) -> Step:
            if step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().losses(model, batch, step)

    run(recipe, clips, tmp_path / "straight")
    halted = train(
        RunOptions(Signalled(recipe), recipe, RunRecord.of([clips], None, None, None), tmp_path / "halves"),
        Heard(),
    )
    assert halted is not None and halted["interrupted"] and halted["step"] == 3
    torch.manual_seed(99)
    run(recipe, clips, tmp_path / "halves", resume=True)
    one, two = final_state(tmp_path / "straight"), final_state(tmp_path / "halves")
    assert all(torch.equal(value, two["model"][name]) for name, value in one["model"].items())
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("straight", "halves")
    ]
    assert weights[0] != b"" and one["step"] == two["step"] == 6


def test_a_checkpoint_of_another_task_is_refused(recipe: Recipe, clips: Path, tmp_path: Path) -> None:
    run(dataclasses.replace(recipe, steps=1), clips, tmp_path / "run")
    file = max((tmp_path / "run" / "checkpoints").iterdir()) / "state.pt"
    state = torch.load(file, weights_only=True)
    state["optimizer"] = state.pop("optimizers")["encoder"]  # as before there were several
    torch.save(state, file)
    with pytest.raises(SweettokError, match="another version of sweettok"):
        run(recipe, clips, tmp_path / "run", resume=True)
