"""Checkpoints of every family become model folders; what does not fit is named."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.omnitokenizer import published as convert_omnitokenizer
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.folder import read_network
from sweettok_cli.models.registry import read_spec
from sweettok_cli.models.sweettok import published as convert_sweettok
from sweettok_cli.models.vidtok import published as convert_vidtok
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.storage.checkpoint_file import Checkpoint
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.zoo.convert import convert_checkpoint, model_name
from tests.parity.rule import Case, case_folder
from tests.published_files import (
    continuous,
    omnitokenizer_settings,
    omnitokenizer_state,
    save_accelerate,
    save_lightning,
    save_small_omnitokenizer,
    save_words,
)

CONFIGS = {
    "kl": VidTokConfig(width=8),
    "fsq": VidTokConfig(regularizer="fsq", channels=5, width=8),
    "noncausal": VidTokConfig(causal=False, width=8, channels=16),
    "41616": dataclasses.replace(VidTokConfig.from_name("vidtok-fsq-causal-41616-262144"), width=4),
    "288": dataclasses.replace(VidTokConfig.from_name("vidtok-kl-causal-288-8chn"), width=4),
    "444": dataclasses.replace(VidTokConfig.from_name("vidtok-kl-causal-444-4chn"), width=4),
    "888": dataclasses.replace(VidTokConfig.from_name("vidtok-fsq-causal-888-32768-v1.1"), width=4),
}


def network_state(config: VidTokConfig) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn_like(tensor) for name, tensor in VidTok(config).state_dict().items()}


@pytest.fixture
def state() -> dict[str, Tensor]:
    return network_state(CONFIGS["kl"])


@pytest.mark.parametrize("kind", CONFIGS)
def test_vidtok_settings_are_told_from_the_tensors(tmp_path: Path, kind: str) -> None:
    config = CONFIGS[kind]
    given = network_state(config)
    file = save_lightning(tmp_path / "trial.ckpt", {**given, "loss.logvar": torch.zeros(())})
    family = "vidtok-v1.1" if config.version == "1.1" else "vidtok"
    header = convert_checkpoint(file, family, folder=tmp_path / "model")
    assert VidTokConfig(**header.config) == config
    assert (header.name, header.family) == ("vidtok-trial", f"vidtok-{config.regularizer}")
    model = ModelFolder(tmp_path / "model")
    stored_header, stored = model.header, model.state()
    assert stored_header == header
    assert stored.keys() == given.keys() and all(stored[name].equal(given[name]) for name in given)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}


def test_every_published_vidtok_is_told_from_its_tensors() -> None:
    sizes = (
        "fsq-causal-488-4096",
        "fsq-noncausal-41616-262144",
        "kl-causal-488-16chn",
        "kl-noncausal-488-4chn",
    )
    for name in (*sizes, "kl-causal-41616-4chn", "kl-causal-288-8chn", "kl-causal-444-4chn"):
        config = VidTokConfig.from_name(f"vidtok-{name}")
        tensors = lay_out(lambda config=config: VidTok(config)).state_dict()  # type: ignore[misc]
        assert convert_vidtok.told_from_tensors(tensors, "1.0", Path("x")) == config


def test_the_source_is_recorded(tmp_path: Path, state: dict[str, Tensor]) -> None:
    extra = {
        "loss.logvar": torch.zeros(()),
        "loss.a.weight": torch.ones(1),
        "regularization.x": torch.ones(1),
    }
    file = save_lightning(tmp_path / "trial.ckpt", {f"module.{n}": t for n, t in {**state, **extra}.items()})
    origin = {"repository": "someone/models", "file": "checkpoints/trial.ckpt"}
    convert_checkpoint(file, "vidtok", name="mine", folder=tmp_path / "model", source=origin)
    header = ModelFolder(tmp_path / "model").header
    assert header.name == "mine"
    source = dict(header.source)
    assert source.pop("converter").startswith("sweettok ")
    assert source == {
        **origin,
        "sha256": sha256_file(file),
        "read": "state_dict",
        "prefixes": ["module."],
        "tensors": len(state),
        "dropped": {"only trains": 2, "constants of the regulariser": 1},
    }


def test_version_1_1_is_told_from_the_file_name(tmp_path: Path, state: dict[str, Tensor]) -> None:
    file = save_lightning(tmp_path / "vidtok_kl_causal_488_4chn_v1_1.ckpt", state)
    header = convert_checkpoint(file, "vidtok", folder=tmp_path / "model")
    assert header.config["version"] == "1.1" and header.name == "vidtok-kl-causal-488-4chn-v1.1"


def test_averages_among_the_weights(tmp_path: Path, state: dict[str, Tensor]) -> None:
    averages = {"model_ema." + name.replace(".", ""): tensor + 1 for name, tensor in state.items()}
    averages |= {"model_ema.decay": torch.tensor(0.99), "model_ema.num_updates": torch.tensor(5)}
    file = save_lightning(tmp_path / "a.ckpt", {**state, **averages})
    plain = convert_checkpoint(file, "vidtok", folder=tmp_path / "plain")
    averaged = convert_checkpoint(file, "vidtok", folder=tmp_path / "averaged", averaged=True)
    assert plain.source["dropped"] == averaged.source["dropped"] == {"moving average": len(averages)}
    for folder, offset in (("plain", 0), ("averaged", 1)):
        stored = load_file(tmp_path / folder / "model.safetensors")
        assert all(stored[name].equal(state[name] + offset) for name in state)
    with pytest.raises(SweettokError, match="holds no moving average of its weights; leave out --ema"):
        file = save_lightning(tmp_path / "b.ckpt", state)
        convert_checkpoint(file, "vidtok", folder=tmp_path / "b", averaged=True)
    del averages["model_ema.encoderconv_inconvbias"]
    file = save_lightning(tmp_path / "c.ckpt", {**state, **averages})
    with pytest.raises(SweettokError, match=r"no moving average of encoder\.conv_in\.conv\.bias"):
        convert_checkpoint(file, "vidtok", folder=tmp_path / "c", averaged=True)
    assert not (tmp_path / "c").exists()


def test_missing_and_unknown_tensors_are_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    del state["decoder.mid.attn_1.q.conv.bias"]
    state |= {f"encoder.novelty.{i:02}": torch.ones(1) for i in range(14)}
    state["encoder.conv_in.conv.bias"] = torch.ones(9)
    file = save_lightning(tmp_path / "a.ckpt", state)
    with pytest.raises(SweettokError) as caught:
        convert_checkpoint(file, "vidtok", folder=tmp_path / "model")
    listed = ", ".join(f"encoder.novelty.{i:02}" for i in range(10))
    assert str(caught.value) == (
        f"{file} is not a VidTok network of version 1.0: missing decoder.mid.attn_1.q.conv.bias; "
        f"unknown {listed} and 4 more; of another shape encoder.conv_in.conv.bias ([9], expected [8])."
    )
    assert not (tmp_path / "model").exists()


def test_a_published_name_must_fit(tmp_path: Path, state: dict[str, Tensor]) -> None:
    file = save_lightning(tmp_path / "a.ckpt", state)
    with pytest.raises(
        SweettokError, match=r"is not vidtok-kl-causal-288-8chn: unknown .*; of another shape .* and 404 more"
    ):
        convert_checkpoint(file, "vidtok-kl-causal-288-8chn", folder=tmp_path / "model")
    with pytest.raises(SweettokError, match="is no VidTok network"):
        convert_checkpoint(
            save_lightning(tmp_path / "b.ckpt", {"a": torch.ones(1)}), "vidtok", folder=tmp_path / "b"
        )


def test_wrong_requests_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    nowhere, words = tmp_path / "a.ckpt", (tmp_path / "a.pkl", tmp_path / "b.pkl")
    (tmp_path / "taken").write_text("")

    def convert(family: str, folder: str = "model", **options: Any) -> None:
        convert_checkpoint(nowhere, family, folder=tmp_path / folder, **options)

    with pytest.raises(SweettokError, match=r"no family 'titok'; --as takes sweettok, .*models list"):
        convert("titok")
    with pytest.raises(SweettokError, match=r"'vidtok-kl-488' does not name a VidTok network"):
        convert("vidtok-kl-488")
    with pytest.raises(SweettokError, match="no family 'omnitokenizer-imagenet-mars'"):
        convert("omnitokenizer-imagenet-mars")
    with pytest.raises(SweettokError, match="words of a SweetTok checkpoint are not in it"):
        convert("sweettok")
    with pytest.raises(SweettokError, match="vidtok has no words; leave out"):
        convert("vidtok", words=words)
    with pytest.raises(SweettokError, match="'a/b' cannot name a model"):
        convert("vidtok", name="a/b")
    with pytest.raises(SweettokError, match="taken is a file"):
        convert("vidtok", folder="taken")
    with pytest.raises(SweettokError, match="There is no checkpoint"):
        convert("vidtok")


def test_names_follow_the_file() -> None:
    assert model_name(Path("x/vidtok_fsq_causal_488_32768.ckpt"), "vidtok") == "vidtok-fsq-causal-488-32768"
    assert (
        model_name(Path("x/vidtok_kl_causal_288_8chn_v1_1.ckpt"), "vidtok")
        == "vidtok-kl-causal-288-8chn-v1.1"
    )
    assert model_name(Path("imagenet_ucf.ckpt"), "omnitokenizer") == "omnitokenizer-imagenet-ucf"
    assert model_name(Path("Run 3/unwrapped_model/pytorch_model.bin"), "sweettok") == "sweettok-run-3"
    assert model_name(Path("a.ckpt"), "vidtok-kl-causal-488-4chn") == "vidtok-kl-causal-488-4chn"


@pytest.fixture(scope="module")
def omni() -> dict[str, Tensor]:
    """The tensors of a published OmniTokenizer without their storage."""
    keys = json.loads((case_folder("omni") / "keys.json").read_text())
    return {name: torch.zeros(()).expand(spec["shape"]) for name, spec in keys.items()}


def test_omnitokenizer_settings_are_told_from_the_tensors(omni: dict[str, Tensor]) -> None:
    assert convert_omnitokenizer.told_from_tensors(omni, Path("x")) == OmniConfig()
    later = "encoder.to_patch_emb.1.weight"
    changed = {**omni, later: torch.zeros(2 * 192), "codebook.embeddings": torch.zeros(1024, 4)}
    changed |= {"pre_vq_conv.1.weight": torch.zeros(4, 512), "post_vq_conv.1.weight": torch.zeros(512, 4)}
    expected = OmniConfig(temporal_patch=2, codes=1024, code_dim=4)
    assert convert_omnitokenizer.told_from_tensors(changed, Path("x")) == expected
    del changed["codebook.embeddings"]
    changed["pre_vq_conv.1.weight"] = torch.zeros(8, 512)
    expected = OmniConfig(temporal_patch=2, regularizer="kl", code_dim=4)
    assert convert_omnitokenizer.told_from_tensors(changed, Path("x")) == expected


@pytest.mark.parametrize("name", ["omnitokenizer", "omnitokenizer-imagenet-ucf-vae"])
def test_a_continuous_omnitokenizer_is_told_from_its_checkpoint(name: str, tmp_path: Path) -> None:
    small = save_small_omnitokenizer(tmp_path / "vq.ckpt")
    state = continuous(torch.load(small, weights_only=False)["state_dict"])
    file = save_lightning(
        tmp_path / "imagenet_ucf_vae.ckpt", state, omnitokenizer_settings(use_vae=True, l2_code=False)
    )
    header = convert_checkpoint(file, name, folder=tmp_path / "model")
    assert (header.name, header.family) == ("omnitokenizer-imagenet-ucf-vae", "omnitokenizer-vae")
    assert header.source["dropped"]["codes, of a continuous network"] == 1
    spec = read_spec(ModelFolder(tmp_path / "model"))
    assert spec.codebooks == {} and spec.clip_shapes(64, 128) == {"latents": (8, 5, 8, 16)}
    network = read_network(ModelFolder(tmp_path / "model"))
    assert torch.equal(network.pre_vq.weight, state["pre_vq_conv.1.weight"])
    assert "codebook.embeddings" not in network.state_dict()
    with pytest.raises(SweettokError, match="is an omnitokenizer-vae, and omnitokenizer-ffhq is not"):
        convert_checkpoint(file, "omnitokenizer-ffhq", folder=tmp_path / "other")
    with pytest.raises(
        SweettokError, match="is an omnitokenizer, and omnitokenizer-imagenet-k600-vae is not"
    ):
        convert_checkpoint(small, "omnitokenizer-imagenet-k600-vae", folder=tmp_path / "other")
    assert not (tmp_path / "other").exists()


OTHER_OMNI: dict[str, tuple[dict[str, tuple[int, ...]], dict[str, Any], str]] = {
    "continuous by its settings alone": (
        {},
        {"use_vae": True},
        "use_vae = True, but its encoder ends in codes",
    ),
    "continuous by its tensors alone": (
        {"pre_vq_conv.1.weight": (16, 512)},
        {},
        "use_vae = False, but its encoder ends in the mean and variance",
    ),
    "of no width": ({"pre_vq_conv.1.weight": (12, 512)}, {}, r"pre_vq_conv\.1\.weight is \[12, 512\]"),
    "relative positions": (
        {"encoder.enc_spatial_transformer.layers.0.1.spatial_rel_pos_bias.net.0.0.weight": (512, 2)},
        {},
        "trained with relative positions",
    ),
    "relative by its settings": ({}, {"spatial_pos": "rel"}, "trained with spatial_pos = 'rel'"),
    "not causal": ({}, {"casual_in_peg": False}, "trained with casual_in_peg = False"),
    "unknown tensor": ({"encoder.novelty": (1,)}, {}, r"cannot be converted: .*unknown encoder\.novelty"),
    "a width of its own": ({"decoder.to_pixels.0.bias": (5,)}, {}, r"to_pixels\.0\.bias is \[5\], expected"),
}


@pytest.mark.parametrize(("tensors", "settings", "words"), OTHER_OMNI.values(), ids=OTHER_OMNI)
def test_other_omnitokenizers_are_refused(
    tmp_path: Path,
    omni: dict[str, Tensor],
    tensors: dict[str, tuple[int, ...]],
    settings: dict[str, Any],
    words: str,
) -> None:
    state = {**omni, **{name: torch.zeros(()).expand(shape) for name, shape in tensors.items()}}
    file = save_lightning(tmp_path / "a.ckpt", state, omnitokenizer_settings(**settings))
    with pytest.raises(SweettokError, match=words):
        convert_checkpoint(file, "omnitokenizer", folder=tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.fixture(scope="module")
def compact() -> dict[str, Tensor]:
    """The tensors of the published SweetTok without their storage."""
    keys = json.loads((case_folder("sweettok_compact") / "keys.json").read_text())
    return {name: torch.zeros(()).expand(spec["shape"]) for name, spec in keys.items()}


N = "pixel_codebook.N"
OTHER_SWEETTOK: dict[str, tuple[dict[str, Tensor], str]] = {
    "another prior": (
        {N: torch.ones(8192), "quantize.gcn.conv1.lin.weight": torch.zeros(256, 2048)},
        r"was not trained with .*noun_adj\.pkl: its spatial words have vectors of 2048 numbers, not 32",
    ),
    "untrained codebook": ({}, "proxy codebook that was never trained"),
    "unknown tensor": (
        {N: torch.ones(8192), "decoder.novelty": torch.ones(1)},
        r"cannot be converted: .*unknown decoder\.novelty",
    ),
}


@pytest.mark.parametrize(("changes", "words"), OTHER_SWEETTOK.values(), ids=OTHER_SWEETTOK)
def test_other_sweettoks_are_refused(
    tmp_path: Path, compact: dict[str, Tensor], changes: dict[str, Tensor], words: str
) -> None:
    folder = save_accelerate(tmp_path / "ema_model", {**compact, **changes})
    pickles = save_words(tmp_path / "words", Case(case_folder("sweettok_compact")))
    with pytest.raises(SweettokError, match=words):
        convert_checkpoint(folder, "sweettok", folder=tmp_path / "model", words=pickles)
    with pytest.raises(SweettokError, match="is no compact SweetTok: it has no latent_spatial_tokens"):
        other = save_accelerate(tmp_path / "other", {"encoder.weight": torch.ones(1)})
        convert_checkpoint(other, "sweettok", folder=tmp_path / "model", words=pickles)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ema_model", "other", "words"]


# What lies beside or in the folder when the program is killed, in the order in which it appears.
MOMENTS = (
    ".omni.*.part",
    ".omni.*.part/.model.*",
    ".omni.*.part/model.safetensors",
    ".omni.*.old",
    "omni/config.json",
)


def test_the_average_takes_the_proxy_codebook_of_the_weights() -> None:
    average = {"a": torch.ones(1), N: torch.zeros(3), "pixel_codebook.embeddings": torch.zeros(3, 2)}
    plain = {"a": torch.zeros(1), N: torch.ones(3), "pixel_codebook.embeddings": torch.ones(3, 2)}
    checkpoint = Checkpoint(Path("ema_model"), (), "", average, plain, averaged=True)
    state = convert_sweettok.with_trained_codebook(checkpoint)
    assert state["a"].item() == 1 and state["pixel_codebook.embeddings"].equal(torch.ones(3, 2))


def name_of_a_whole_model(model: ModelFolder) -> str:
    assert model.state()
    return model.header.name


@pytest.mark.slow
@pytest.mark.parametrize("there", [False, True])
def test_killed_at_any_moment_the_same_command_succeeds(tmp_path: Path, there: bool) -> None:
    """What was there stays, or what is new is whole; the next try leaves the model and nothing else."""
    case = Case(case_folder("omni"))
    file = save_lightning(tmp_path / "imagenet_ucf.ckpt", omnitokenizer_state(case), omnitokenizer_settings())
    folder = tmp_path / "models" / "omni"
    folder.parent.mkdir()
    command = [sys.executable, "-m", "sweettok_cli", "models", "convert", str(file), "--as", "omnitokenizer"]
    command += ["-o", str(folder), "--force"]
    if there:
        convert_checkpoint(file, "omnitokenizer", name="before", folder=folder)
    for moment in MOMENTS:
        old = (folder / "config.json").stat().st_mtime_ns if folder.exists() else 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            found = list(folder.parent.glob(moment))
            if found and (moment != MOMENTS[-1] or found[0].stat().st_mtime_ns != old):
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.0005)
        assert process.wait() in (0, -signal.SIGKILL)
        if folder.exists():
            assert read_folder(folder, name_of_a_whole_model) in ("before", "omnitokenizer-imagenet-ucf")
    subprocess.run(command, check=True, capture_output=True)
    assert [path.name for path in folder.parent.iterdir()] == ["omni"]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert read_folder(folder, name_of_a_whole_model) == "omnitokenizer-imagenet-ucf"
