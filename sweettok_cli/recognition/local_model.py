"""A causal language model of ``transformers``, which scores the name of each class after a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.recognition.answer import Answer
from sweettok_cli.runtime import pick_device


class LocalModel:
    """A model by its name on the Hub, or the folder of one.

    The score of a class is the log-probability, in nats, that the prompt goes on with a blank, its name and
    the end of the line: the sum over the name's tokens, not their mean. A model that has read the names in
    the prompt is sure of all tokens of a name but the first, so a mean would favour long names.

    Raises:
        SweettokError: transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer, self._network = _load(name)

    def answer(self, prompt: str, labels: Sequence[str]) -> Answer:
        """As :meth:`LanguageModel.answer`; of classes with the same score the first."""
        scores = dict(zip(labels, self.scores(prompt, [f" {label}\n" for label in labels]), strict=True))
        return Answer(max(scores, key=lambda label: scores[label]), scores)

    def scores(self, prompt: str, ends: Sequence[str]) -> list[float]:
        """Log-probability, in nats, of each of ``ends`` after the prompt, which is read once.

        Raises:
            SweettokError: they are longer than the model reads.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        begin = self._ids(prompt, special=True)
        rows = [self._ids(end, special=False) for end in ends]
        most = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        needed = len(begin) + max(map(len, rows))
        if most is not None and needed > most:
            raise SweettokError(
                f"The prompt has {needed} tokens and {self.name} reads {most}; tell fewer words with --top, "
                "or give fewer examples."
            )
        device = self._network.device
        given = torch.tensor([begin], device=device)  # [1, prompt]
        # What pads a name on the right is seen by none of its tokens.
        names = pad_sequence([torch.tensor(row, device=device) for row in rows], True)  # [n, longest]
        there = pad_sequence([torch.ones(len(row), dtype=torch.bool, device=device) for row in rows], True)
        with torch.inference_mode():
            found = self._logits(given, names).float().log_softmax(-1).gather(-1, names[..., None])[..., 0]
        return [float(score) for score in found.where(there, 0.0).sum(1)]

    def _logits(self, given: Any, names: Any) -> Any:
        """What is expected in place of each token of the names, [n, longest, codes]."""
        import torch

        many = len(names)
        read = self._network(input_ids=given, use_cache=True)
        memory = getattr(read, "past_key_values", None)
        if memory is None or not hasattr(
            memory, "batch_repeat_interleave"
        ):  # of recurrent networks, which read it all again
            whole = torch.cat([given.expand(many, -1), names[:, :-1]], 1)
            return self._network(input_ids=whole).logits[:, given.shape[1] - 1 :]
        first = read.logits[:, -1:].expand(many, -1, -1)
        if names.shape[1] == 1:
            return first
        memory.batch_repeat_interleave(many)
        return torch.cat([first, self._network(input_ids=names[:, :-1], past_key_values=memory).logits], 1)

    def _ids(self, text: str, special: bool) -> list[int]:
        found = list(self._tokenizer(text, add_special_tokens=special)["input_ids"])
        if not found:
            raise SweettokError(f"{self.name} has no tokens for {text.strip()!r}; give another --llm.")
        return found


def _load(name: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise SweettokError(
            "A language model needs the package transformers; run: pip install 'sweettok[llm]'"
        ) from error

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        network: Any = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
    except (OSError, ValueError, ImportError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(" .:")
        raise SweettokError(
            f"Cannot load the language model {name} ({reason}); give --llm a local folder, a Hub name or the "
            "URL of a server."
        ) from error
    return tokenizer, network.to(pick_device("auto")).eval()
