"""Published tensors go where their names say, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sweettok_cli.metrics import NotMeasured
from sweettok_cli.metrics.network_files import load_state, read_state


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def made_up() -> dict[str, torch.Tensor]:
    return {name: torch.rand_like(tensor.float()) for name, tensor in network().state_dict().items()}


@pytest.mark.parametrize("archive", [True, False])
def test_old_and_new_files_are_read(tmp_path: Path, archive: bool) -> None:
    state = made_up()
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=archive)
    loaded = load_state(network(), read_state(tmp_path / "net.pth"), tmp_path)
    assert torch.equal(loaded[0].weight, state["0.weight"])
    assert torch.equal(loaded[1].running_var, state["1.running_var"])
    assert not loaded.training
    assert not any(tensor.requires_grad for tensor in loaded.parameters())


def test_counters_of_training_steps_may_be_absent_or_present() -> None:
    state = made_up()
    del state["1.num_batches_tracked"]
    load_state(network(), state, Path("net.pth"))
    load_state(network(), {**state, "9.num_batches_tracked": torch.tensor(1)}, Path("net.pth"))


def test_what_does_not_fit_is_named() -> None:
    state = made_up()
    cases = {
        r"lacks 0\.bias and 1 more": {k: v for k, v in state.items() if k not in ("0.bias", "1.weight")},
        r"also holds head\.weight;": {**state, "head.weight": torch.zeros(1)},
        r"has another shape of 0\.weight;": {**state, "0.weight": torch.zeros(3, 2, 3, 3)},
    }
    for words, given in cases.items():
        with pytest.raises(NotMeasured, match=rf"^net\.pth is not the network it should be: it {words}"):
            load_state(network(), given, Path("net.pth"))
    load_state(network(), {**state, "head.weight": torch.zeros(1)}, Path("net.pth"), unused=("head.",))


def test_a_file_that_asks_for_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"weight": Trap()}, tmp_path / "net.pth")
    with pytest.raises(NotMeasured, match="no plain data"):
        read_state(tmp_path / "net.pth")
    assert not (tmp_path / "sprung").exists()
