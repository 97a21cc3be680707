"""The codebook follows its latents as in the published code, and starts among them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.models.omnitokenizer.averages import CodeAverages
from sweettok_cli.models.omnitokenizer.quantizer import NearestCode
from tests.parity.rule import Case, case_folder, randn, weight


def test_one_pass_is_the_published_one() -> None:
    case = Case(case_folder("losses"))
    salt, shapes = f"{case.salt}cb", {"embeddings": (64, 8), "z_avg": (64, 8)}
    codes, sums = (weight(salt, name, shape, "rownorm") for name, shape in shapes.items())
    codebook = NearestCode(64, 8)
    codebook.embeddings.copy_(codes)
    averages = CodeAverages(codebook)
    averages.sums.copy_(sums)
    averages.counts.copy_(torch.from_numpy(abs(randn(case.salt, "cbN", (64,))) + 1))
    z = F.normalize(torch.from_numpy(randn(case.salt, "cbz", (2, 8, 3, 4, 4))), dim=1)
    latents = z.movedim(1, -1)
    coded = codebook(latents)
    assert coded.indices.equal(case.data["codebook_ema:encodings"].long())
    golden = case.manifest["scalars"]["codebook_ema:commitment_loss"]
    assert coded.loss.item() == pytest.approx(golden, rel=1e-5)
    assert codebook.embeddings.equal(codes), "the pass itself changes nothing"
    averages.follow(codebook, latents, coded.indices)
    for name, found in (
        ("N", averages.counts),
        ("z_avg", averages.sums),
        ("embeddings", codebook.embeddings),
    ):
        assert case.error(f"codebook_ema:{name}", found) < 1e-6, name


def apart(codes: Tensor, latents: Tensor) -> Tensor:
    """How far each code is from the nearest latent."""
    return (codes[:, None] - latents).square().sum(-1).sqrt().amin(dim=1)


@pytest.mark.parametrize("latents", [5, 200])
def test_a_new_codebook_starts_among_its_latents(latents: int) -> None:
    codebook = NearestCode(50, 4)
    averages = CodeAverages(codebook)
    some = torch.randn(latents, 4)
    averages.start(codebook, some)
    nearest = apart(codebook.embeddings, some)
    assert nearest.max() < (0.05 if latents < 50 else 1e-6)
    assert len(codebook.embeddings.unique(dim=0)) == 50
    assert averages.sums.equal(codebook.embeddings) and averages.counts.eq(1).all()


def test_idle_codes_stay_or_are_drawn_anew() -> None:
    torch.manual_seed(1)
    codebook = NearestCode(20, 4)
    before = codebook.embeddings.clone()
    averages = CodeAverages(codebook)
    latents = before[:3].repeat(400, 1) + 0.01 * torch.randn(1200, 4)
    indices = codebook.nearest(latents)
    averages.follow(codebook, latents, indices)
    assert torch.allclose(codebook.embeddings[3:], before[3:], atol=1e-4), (
        "a code without latents keeps its place"
    )
    averages.follow(codebook, latents, indices, restart=1.0)
    idle = averages.counts < 1
    assert idle.sum() == 17
    assert apart(codebook.embeddings[idle], latents).max() < 1e-6


def test_what_is_not_finite_is_not_taken_in() -> None:
    codebook = NearestCode(20, 4)
    averages = CodeAverages(codebook)
    before = {name: value.clone() for name, value in averages.state_dict().items()}
    codes = codebook.embeddings.clone()
    latents = torch.randn(30, 4)
    latents[7, 2] = float("nan")
    averages.follow(codebook, latents, torch.zeros(30, dtype=torch.int64), restart=2.0)
    assert all(value.equal(before[name]) for name, value in averages.state_dict().items())
    assert torch.allclose(codebook.embeddings, codes, atol=1e-6)


TOGETHER = """
import os
import sys
import torch
import torch.distributed as dist
from sweettok_cli.models.omnitokenizer.averages import CodeAverages
from sweettok_cli.models.omnitokenizer.quantizer import NearestCode

dist.init_process_group("gloo")
rank, found = dist.get_rank(), []
for restart in (0.0, 1.0):
    torch.manual_seed(0)
    codebook, latents = NearestCode(20, 4), torch.randn(60, 4)
    averages = CodeAverages(codebook)
    torch.manual_seed(7)  # as every step begins, the same in all processes
    own = latents[30 * rank :][:30]
    averages.follow(codebook, own, codebook.nearest(own), restart)
    found.append([codebook.embeddings, averages.counts, averages.sums])
torch.save(found, f"{sys.argv[1]}/{rank}.pt")
dist.barrier()
os._exit(0)  # threads of the group can abort an interpreter that takes them down
"""


def test_two_processes_follow_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    (tmp_path / "together.py").write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, str(tmp_path / "together.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for restart, one, two in zip((0.0, 1.0), first, second, strict=True):
        torch.manual_seed(0)
        codebook, latents = NearestCode(20, 4), torch.randn(60, 4)
        averages = CodeAverages(codebook)
        torch.manual_seed(7)
        averages.follow(codebook, latents, codebook.nearest(latents), restart)
        assert all(map(torch.equal, one, two))
        for found, alone in zip(one, (codebook.embeddings, averages.counts, averages.sums), strict=True):
            assert torch.allclose(found, alone, atol=1e-6)
        kept = averages.counts >= restart
        assert kept.all() == (restart == 0)
        if restart:
            assert apart(one[0][~kept], latents).max() < 1e-6, "latents of any process"
