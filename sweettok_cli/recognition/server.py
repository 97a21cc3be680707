"""A language model behind an OpenAI-compatible server, whose answer it keeps to the names of the classes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.recognition.answer import Answer

#: Whose value is sent as the bearer token, if it is set.
KEY = "OPENAI_API_KEY"
SECONDS = 120.0  # that an answer may take
_MOST = 1 << 20  # bytes of an answer


class ServedModel:
    """The model of a server, asked by ``POST /v1/chat/completions``.

    The answer is constrained by vLLM's ``structured_outputs: {"choice": [...]}``; ``guided_choice``, its name
    before vLLM 0.11, is sent with it. A server that knows neither may answer anything, which is refused.

    Args:
        url: of the server, with or without ``/v1``.
        served: the model's name there; by default the only one that ``GET /v1/models`` lists.
        seconds: that an answer may take.

    Raises:
        SweettokError: the URL is none, or the server cannot be reached, refuses, or lists several models.
    """

    def __init__(self, url: str, served: str | None = None, seconds: float = SECONDS) -> None:
        if not urlsplit(url).hostname:
            raise SweettokError(f"{url} names no server; give a URL such as http://localhost:8000/v1.")
        bare = url.rstrip("/")
        self._url = bare if bare.endswith("/v1") else f"{bare}/v1"
        self._seconds = seconds
        self._opener = build_opener(_Stay)
        self.name = served or self._only_model()

    def answer(self, prompt: str, labels: Sequence[str]) -> Answer:
        """As :meth:`LanguageModel.answer`; the likeliest tokens are taken, nothing is drawn."""
        choice = list(labels)
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": max(len(label.encode()) for label in choice) + 8,  # a token is a byte at least
            "structured_outputs": {"choice": choice},
            "guided_choice": choice,
        }
        found = self._ask("/chat/completions", body)
        try:
            text = found["choices"][0]["message"]["content"].strip()
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise SweettokError(f"{self._url} answered without a message; is it a chat server?") from error
        if text not in choice:
            raise SweettokError(
                f"{self._url} answered {brief(text)}, which is none of the classes; use a server that keeps "
                "to structured_outputs, such as vLLM."
            )
        return Answer(text, None)

    def _only_model(self) -> str:
        try:
            names = [str(each["id"]) for each in self._ask("/models")["data"]]
        except (KeyError, TypeError) as error:
            raise SweettokError(f"{self._url}/models lists no models; name one with --served.") from error
        if len(names) != 1:
            listed = ", ".join(map(brief, names[:5])) or "none"
            raise SweettokError(f"{self._url} has {len(names)} models ({listed}); name one with --served.")
        return names[0]

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with self._opener.open(Request(self._url + path, data, headers), timeout=self._seconds) as answer:
                text = answer.read(_MOST + 1)
            found = json.loads(text)
        except HTTPError as error:
            remedy = f"set {KEY}" if error.code in (401, 403) else "see the server's log"
            raise SweettokError(f"{self._url}{path} refused ({_said(error)}); {remedy}.") from error
        except TimeoutError as error:
            raise self._slow() from error
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._slow() from error
            raise SweettokError(
                f"{self._url} cannot be reached ({error.reason}); start the server, or check the URL."
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            what = brief(str(error) or type(error).__name__)
            raise SweettokError(f"{self._url}{path} gave no JSON ({what}); check the URL.") from error
        if not isinstance(found, dict):
            raise SweettokError(f"{self._url}{path} gave JSON that is no object; check the URL.")
        return found

    def _slow(self) -> SweettokError:
        return SweettokError(
            f"{self._url} did not answer in {self._seconds:g} s; try again when it has less to do."
        )


class _Stay(HTTPRedirectHandler):
    """Follows nothing: the key is for the server that was named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: a redirection is an error."""
        return


def _said(error: HTTPError) -> str:
    """The status, and the server's own message where it gives one."""
    try:
        found = json.loads(error.read(_MOST))
        message = found.get("message") or found["error"]
        message = message["message"] if isinstance(message, dict) else message
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        message = error.reason
    return f"{error.code}: {brief(str(message))}"
