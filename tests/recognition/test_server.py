from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from chat_server import ChatServer, slowly

from sweettok_cli.errors import SweettokError
from sweettok_cli.recognition.language_model import open_language_model
from sweettok_cli.recognition.server import KEY, ServedModel

LABELS = ["Biking", "Wall Push\u00fcps"]


def last(prompt: str, choices: list[str]) -> str:
    return choices[-1]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_answer_is_the_servers_choice(path: str) -> None:
    with ChatServer(last) as chat:
        model = open_language_model(chat.url + path)
        answer = model.answer("Which?\nClass:", LABELS)
    assert (model.name, answer.label, answer.scores) == ("served", LABELS[1], None)
    assert chat.asked[0]["messages"] == [{"role": "user", "content": "Which?\nClass:"}]
    assert chat.asked[0]["structured_outputs"] == {"choice": LABELS}


def test_of_several_models_one_is_named() -> None:
    with ChatServer(last, models=("small", "large")) as chat:
        with pytest.raises(SweettokError, match=r"has 2 models \('small', 'large'\); name one with --served"):
            open_language_model(chat.url)
        assert open_language_model(chat.url, "large").answer("Which?", LABELS).label == LABELS[1]
        with pytest.raises(SweettokError, match=r"refused \(400: 'The model `none` does not exist\.'\)"):
            open_language_model(chat.url, "none").answer("Which?", LABELS)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(last, key="secret") as chat:
        with pytest.raises(SweettokError, match=f"refused \\(401: 'Invalid API key'\\); set {KEY}"):
            open_language_model(chat.url)
        monkeypatch.setenv(KEY, "secret")
        assert open_language_model(chat.url).answer("Which?", LABELS).label == LABELS[1]


def test_an_answer_that_is_no_class_is_refused() -> None:
    with ChatServer(lambda *_: "I think it is Biking.") as chat:
        model = ServedModel(chat.url)
        with pytest.raises(SweettokError, match=r"answered 'I think it is Biking\.', which is none of"):
            model.answer("Which?", LABELS)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: (200, b"<html>"), "gave no JSON"),
        (lambda: (200, b"[]"), "JSON that is no object"),
        (lambda: (200, b'{"choices": []}'), "answered without a message"),
        (lambda: (200, b'{"choices": [{"message": {"content": null}}]}'), "answered without a message"),
        (lambda: (500, b"oh"), r"refused \(500: 'Internal Server Error'\); see the server's log"),
        (lambda: (302, b""), r"refused \(302: 'Found'\)"),
        (slowly, "did not answer in 0.1 s"),
    ],
)
def test_what_is_no_answer_is_one_sentence(answer: Callable[[], tuple[int, bytes]], said: str) -> None:
    with ChatServer(last, answer=answer) as chat:
        model = ServedModel(chat.url, "served", seconds=0.1 if answer is slowly else 60)
        with pytest.raises(SweettokError, match=said) as caught:
            model.answer("Which?", LABELS)
        assert "\n" not in str(caught.value)
        if answer is slowly:
            time.sleep(0.6)  # until the server has noticed
    assert chat.paths == ["/v1/chat/completions"]  # a redirection is not followed


def test_nobody_there_is_one_sentence() -> None:
    with ChatServer(last) as chat:
        pass
    with pytest.raises(SweettokError, match=r"cannot be reached .*start the server, or check the URL"):
        ServedModel(chat.url)
    with pytest.raises(SweettokError, match="names no server"):
        ServedModel("http://")
