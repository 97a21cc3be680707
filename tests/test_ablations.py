"""The ablation benchmark: variants trained and measured alike, kept, and gone on with."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.usefixtures("one_run_a_process")

ROOT = Path(__file__).resolve().parent.parent
Done = tuple[int, str, str]
#: A network that a few clips and a second suffice for.
TINY = [
    *("dim=32", "heads=2", "head_dim=16", "code_dim=16", "spatial_code=[4,3]", "temporal_code=[4,3]"),
    *("filter_channels=2", "encoder_spatial=a", "decoder_spatial=as", "temporal_every=2"),
]
BRIEF = ["init_samples=8", "word_steps=2", "crop=[[64,1,1]]", "synthetic=0"]


@pytest.fixture
def ablate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The benchmark as its command line calls it: the exit code, what it printed, and what it said."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    main = importlib.import_module("ablations").main

    def call(*arguments: object) -> Done:
        threads = ["--threads", torch.get_num_threads()]
        monkeypatch.setattr("sys.argv", ["ablations.py", *map(str, [*arguments, *threads])])
        capsys.readouterr()
        code = main()
        return code, *capsys.readouterr()

    return call


def test_variants_are_listed_with_their_lines(ablate: Callable[..., Done]) -> None:
    code, printed, _ = ablate("--list")
    assert code == 0
    listed = {line.split()[0]: line for line in printed.splitlines()}
    assert listed["flattened"].endswith("model.queries=flattened")
    assert listed["65-frames"].endswith("frames=65 model.frames=65")
    assert {"random", "learned", "no-graph", "two-nearest", "differences", "staged", "vq", "8-fps"} <= {
        *listed
    }


def test_two_variants_are_compared_and_kept(
    ablate: Callable[..., Done], clips: Path, prior: Path, tmp_path: Path
) -> None:
    lines = [f"model.{line}" for line in TINY] + BRIEF
    measured = ["--held-out", "1", "--frames", "9", "--side", "64"]
    job = [clips / "inner", "--steps", "2", "--prior", prior, *measured]
    job += [part for line in lines for part in ("--sweettok", line)]
    job += ["--only", "sweettok", "--only", "no-graph", "--output", tmp_path / "found.json"]
    job += ["--work", tmp_path / "work"]
    code, _, said = ablate(*job)
    assert code == 0, said
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found["rows"]) == ["sweettok", "no-graph"]
    base, other = found["rows"].values()
    (held,) = found["held_out"]["clips"]
    assert found["trained_on"] == 2 and held not in (tmp_path / "work" / "train.csv").read_text()
    assert base["gain"] is None
    assert other["gain"]["value"] == pytest.approx(other["psnr"]["value"] - base["psnr"]["value"])
    assert other["steps"] == [2] and other["seconds"][0] > 0
    assert "--set model.graph=false --set steps=2" in other["commands"][0]
    assert set(other["use"]) == set(other["kept"]) == {"adjectives", "nouns", "adverbs", "verbs"}
    assert other["parameters"] == base["parameters"]
    assert str(tmp_path) not in json.dumps(found["command"]) + json.dumps(base["commands"])
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["train.csv"], "done runs are removed"

    before = (tmp_path / "found.json").read_text()
    code, printed, said = ablate(*job)
    assert (code, said) == (0, "") and "no-graph" in printed
    assert (tmp_path / "found.json").read_text() == before


def test_what_cannot_be_compared_is_said(
    ablate: Callable[..., Done], clips: Path, prior: Path, tmp_path: Path
) -> None:
    job = [
        clips / "inner",
        "--prior",
        prior,
        "--work",
        tmp_path / "work",
        "--output",
        tmp_path / "found.json",
    ]
    code, _, said = ablate(*job, "--frames", "900")
    assert code == 1 and "None of the 3 clips can be held out" in said
    code, _, said = ablate(*job, "--frames", "9", "--only", "sweettok", "--sweettok", "model.dims=3")
    assert code == 1 and "did you mean dim" in said
    assert not (tmp_path / "found.json").exists()
    with pytest.raises(SystemExit):
        ablate("--steps", "3")
