from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from causal_model import save_causal_model

from sweettok_cli.errors import SweettokError
from sweettok_cli.recognition.language_model import open_language_model
from sweettok_cli.recognition.local_model import LocalModel

PROMPT, LABELS = "verbs: run, fall\nClass:", ["Biking", "YoYo", "Wall Pushups"]


@pytest.fixture(scope="module", params=["llama", "mamba"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(
        str(save_causal_model(tmp_path_factory.mktemp("models") / request.param, request.param))
    )


def alone(model: LocalModel, text: str, begin: str) -> float:
    """The score of one text, read at once without padding or memory."""
    ids = torch.tensor([model._tokenizer(begin + text)["input_ids"]])
    with torch.inference_mode():
        found = model._network(input_ids=ids[:, :-1]).logits.log_softmax(-1)
    scores = found.gather(-1, ids[:, 1:, None])[0, :, 0]
    return float(scores[-len(text) :].sum())  # its tokens are characters


def test_scores_are_the_logarithms_of_the_names_probabilities(model: LocalModel) -> None:
    answer = model.answer(PROMPT, LABELS)
    assert answer.scores is not None and list(answer.scores) == LABELS
    wanted = {label: alone(model, f" {label}\n", PROMPT) for label in LABELS}
    assert answer.scores == pytest.approx(wanted, abs=1e-4)
    assert answer.label == max(wanted, key=lambda label: wanted[label])
    assert len({round(score, 2) for score in answer.scores.values()}) == 3


def test_ends_of_one_token_need_nothing_but_the_prompt(model: LocalModel) -> None:
    found = model.scores(PROMPT, ["a", "b"])
    assert found == pytest.approx([alone(model, end, PROMPT) for end in "ab"], abs=1e-4)


def test_a_name_does_not_depend_on_those_beside_it(model: LocalModel) -> None:
    one = model.answer(PROMPT, LABELS[:2]).scores
    both = model.answer(PROMPT, LABELS).scores
    assert one is not None and both is not None
    assert one["YoYo"] == pytest.approx(both["YoYo"], abs=1e-4)


def test_a_prompt_longer_than_the_model_reads_is_refused(tmp_path: Path) -> None:
    model = open_language_model(str(save_causal_model(tmp_path / "short", longest=32)))
    with pytest.raises(
        SweettokError, match=r"has 38 tokens and .*short reads 32; tell fewer words with --top"
    ):
        model.answer(PROMPT, LABELS)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SweettokError, match=r"Cannot load the language model .*; give --llm") as caught:
        LocalModel(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SweettokError, match=r"pip install 'sweettok\[llm\]'"):
        LocalModel("anything")
