"""A server on this machine that speaks the protocol of OpenAI's chat, and checks what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes]


class ChatServer:
    """Serves ``models``; answers the class that ``choose`` takes of the prompt and the choices.

    A request that is not of the protocol is answered with status 400 and what is wrong with it.
    """

    def __init__(
        self,
        choose: Callable[[str, list[str]], str],
        models: tuple[str, ...] = ("served",),
        key: str | None = None,
        answer: Callable[[], Answer] | None = None,
    ) -> None:
        self.choose, self.models, self.key, self.answer = choose, models, key, answer
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []

        class Handler(_Handler):
            chat = self

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer

    def do_GET(self) -> None:
        self.chat.paths.append(self.path)
        if self.path != "/v1/models":
            self._fail(404, "no such path")
        elif self._known():
            self._send(200, {"object": "list", "data": [{"id": name} for name in self.chat.models]})

    def do_POST(self) -> None:
        self.chat.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._fail(404, "no such path")
        elif self._known() and self.chat.answer is not None:
            self._write(*self.chat.answer())
        elif self._known():
            self._answer(body)

    def _answer(self, body: dict[str, Any]) -> None:
        fault = self._fault(body)
        if fault:
            self._fail(400, fault)
            return
        self.chat.asked.append(body)
        choices = body["structured_outputs"]["choice"]
        text = self.chat.choose(body["messages"][0]["content"], choices)
        message = {"role": "assistant", "content": text}
        self._send(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def _known(self) -> bool:
        if self.chat.key is None or self.headers.get("Authorization") == f"Bearer {self.chat.key}":
            return True
        self._fail(401, "Invalid API key")
        return False

    def _fault(self, body: dict[str, Any]) -> str | None:
        if self.headers.get("Content-Type") != "application/json":
            return "the content is no JSON"
        if body.get("model") not in self.chat.models:
            return f"The model `{body.get('model')}` does not exist."
        messages = body.get("messages")
        if not isinstance(messages, list) or [set(each) for each in messages] != [{"role", "content"}]:
            return "messages must be one, of role and content"
        if messages[0]["role"] != "user" or not isinstance(messages[0]["content"], str):
            return "the message is not a user's text"
        if body.get("temperature") != 0 or not isinstance(body.get("max_tokens"), int):
            return "temperature must be 0 and max_tokens a number"
        choice = body.get("structured_outputs", {}).get("choice")
        if not isinstance(choice, list) or not choice or body.get("guided_choice") != choice:
            return "structured_outputs must list the choices"
        if max(len(each.encode()) for each in choice) > body["max_tokens"]:
            return "max_tokens would cut an answer short"
        return None

    def _fail(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "code": status}})

    def _send(self, status: int, found: dict[str, Any]) -> None:
        self._write(status, json.dumps(found).encode())

    def _write(self, status: int, text: bytes) -> None:
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/v1/models")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def slowly() -> Answer:
    """Too late for somebody who waits a tenth of a second."""
    time.sleep(0.5)
    return 200, b"{}"
