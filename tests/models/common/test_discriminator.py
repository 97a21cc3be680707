"""Patch discriminators: batch norms that see every process' batch, and published names."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sweettok_cli.models.common import discriminator
from sweettok_cli.models.common.discriminator import (
    CLIPS,
    PICTURES,
    VIDTOK_CLIPS,
    VIDTOK_FRAMES,
    DiscriminatorConfig,
    Noise,
    PatchDiscriminator,
    SharedBatchNorm,
    load_published_discriminator,
)

TINY = DiscriminatorConfig(3, (2, 1), kernel=3, padding=1, width=4, normal_logits=True)

TOGETHER = """
import os
import sys
import torch
import torch.distributed as dist
from sweettok_cli.models.common.discriminator import DiscriminatorConfig, PatchDiscriminator
from sweettok_cli.training.collective import average_gradients

dist.init_process_group("gloo")
torch.manual_seed(0)
model = PatchDiscriminator(DiscriminatorConfig(3, (2, 1), 3, 1, width=4, normal_logits=True))
clips = torch.randn(4, 3, 5, 8, 8)[2 * dist.get_rank() :][:2].requires_grad_()
(model(clips)[-1] ** 3).mean().backward()
average_gradients(model.parameters())
found = [clips.grad / 2, *(p.grad for p in model.parameters()), *model.state_dict().values()]
torch.save(found, f"{sys.argv[1]}/{dist.get_rank()}.pt")
dist.barrier()
os._exit(0)  # threads of the group can abort an interpreter that takes them down
"""


def test_two_processes_normalise_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    (tmp_path / "together.py").write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, str(tmp_path / "together.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    torch.manual_seed(0)
    model = PatchDiscriminator(TINY)
    clips = torch.randn(4, 3, 5, 8, 8).requires_grad_()
    (model(clips)[-1] ** 3).mean().backward()
    assert clips.grad is not None
    own = [p.grad for p in model.parameters()]
    for rank in (0, 1):
        half = clips.grad[2 * rank : 2 * rank + 2]
        found = torch.load(tmp_path / f"{rank}.pt")
        for one, two in zip(found, [half, *own, *model.state_dict().values()], strict=True):
            assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)
    assert clips.grad.abs().max() > 1e-4


def test_alone_the_norm_is_torchs() -> None:
    one, two = SharedBatchNorm(3), torch.nn.BatchNorm3d(3)
    assert one.state_dict().keys() == two.state_dict().keys()
    clips = torch.randn(2, 3, 2, 4, 4)
    assert torch.equal(one(clips), two(clips)) and torch.equal(one.running_var, two.running_var)
    with pytest.raises(ValueError, match="neither pictures nor clips"):
        one(clips[0, 0])


@pytest.mark.parametrize("config", [CLIPS, PICTURES, VIDTOK_CLIPS, VIDTOK_FRAMES])
def test_single_frames_and_small_ones_are_judged(config: DiscriminatorConfig) -> None:
    model = PatchDiscriminator(config).eval()
    shape = (1, 3, 32, 32) if config.axes == 2 else (1, 3, 1, 32, 32)
    found = model(torch.zeros(shape))
    assert [features.shape[1] for features in found] == [64, 128, 256, 512, 1]


def test_noise_begins_at_nothing_and_is_the_same_for_all_channels() -> None:
    noise = Noise(3)
    clips = torch.zeros(2, 3, 2, 4, 4)
    assert torch.equal(noise(clips), clips)
    torch.nn.init.constant_(noise.weight, 2.0)
    laid = noise(clips)
    assert torch.equal(laid[:, 0], laid[:, 2]) and 1.5 < laid.std() < 2.5
    assert PatchDiscriminator(DiscriminatorConfig(2, (2, 1), 3, 1, noise=True)).noise is not None


def test_vidtoks_start_is_small() -> None:
    model = PatchDiscriminator(VIDTOK_FRAMES).start_small()
    assert model.stages[3].conv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.stages[3].norm.weight.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(("config", "last"), [(PICTURES, "model4.0.weight"), (CLIPS, "model4.1.weight")])
def test_omnitokenizers_tensors_are_found_among_others(config: DiscriminatorConfig, last: str) -> None:
    """With the noise and the blur of its scripts; the blur has no weights but takes a number."""
    config, prefix = dataclasses.replace(config, noise=True), "some_discriminator."
    state = {"encoder.weight": torch.zeros(1), f"{prefix}noise.weight": torch.full((3,), 2.0)}
    for stage, inner in enumerate(PatchDiscriminator(config).stages):
        first = 1 if stage in (1, 2) else 0
        for number, layer in enumerate(part for part in (inner.conv, inner.norm) if part is not None):
            named = {f"{prefix}model{stage}.{first + number}.{n}": t for n, t in layer.state_dict().items()}
            state |= {name: torch.full_like(tensor, stage) for name, tensor in named.items()}
    assert prefix + last in state
    model = PatchDiscriminator(config)
    load_published_discriminator(model, state, prefix)
    assert model.noise is not None and model.noise.weight[0] == 2
    for stage, inner in enumerate(model.stages):
        assert all((tensor == stage).all() for tensor in inner.state_dict().values())


def test_what_is_no_such_discriminator_is_refused() -> None:
    model = PatchDiscriminator(PICTURES)
    with pytest.raises(ValueError, match=r"missing stages\.0\.conv"):
        load_published_discriminator(model, {"other.model0.0.weight": torch.zeros(1)}, "image.")
    assert discriminator.NAMES.our_name("model4.0.bias") == "stages.4.conv.bias"
