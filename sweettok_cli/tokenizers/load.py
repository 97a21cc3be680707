"""From a model's name to a tokenizer that is ready to use."""

from __future__ import annotations

from sweettok_cli.tokenizers.base import Tokenizer
from sweettok_cli.weights_store.local import DEFAULT_MODEL, find_model


def load_tokenizer(name_or_path: str = DEFAULT_MODEL, device: str = "auto", dtype: str = "auto") -> Tokenizer:
    """Load a tokenizer.

    Args:
        name_or_path: a shipped model's name, or a model folder (``runs/x/model`` of a training run too).
        device: ``auto``, ``cpu``, ``cuda`` (``cuda:1``) or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``: the arithmetic of the network. Codes are
            compared in float32 whatever it is.

    Raises:
        SweettokError: no such model, device or number format; or the model folder is damaged.
    """
    folder = find_model(name_or_path)
    # Torch takes seconds to import; an unknown name should be told at once.
    from sweettok_cli.tokenizers.device import pick_device, pick_dtype
    from sweettok_cli.tokenizers.sweettok import SweetTokTokenizer

    where = pick_device(device)
    return SweetTokTokenizer(folder, where, pick_dtype(dtype, where))
