"""A causal language model with random weights that reads letters, as transformers saves it."""

from __future__ import annotations

import string
from pathlib import Path


def save_causal_model(folder: Path, kind: str = "llama", longest: int = 4096) -> Path:
    """Save a ``llama`` or, recurrent, a ``mamba``, small, with a tokenizer of single characters."""
    import tokenizers
    import torch
    import transformers

    characters = ["[BEGIN]", "[UNK]", *string.printable]
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({each: i for i, each in enumerate(characters)}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="[BEGIN] $A", special_tokens=[("[BEGIN]", 0)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="[BEGIN]", unk_token="[UNK]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"vocab_size": len(characters), "hidden_size": 32, "num_hidden_layers": 2}
    if kind == "mamba":
        config = transformers.MambaConfig(**sizes, state_size=4)
        transformers.MambaForCausalLM(config).save_pretrained(folder)
        return folder
    config = transformers.LlamaConfig(
        **sizes,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=longest,
        initializer_range=0.2,  # wide, so that different texts have different scores
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder
