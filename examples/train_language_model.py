"""A causal language model on video tokens, from clips to a loss that falls: a plain loop to start from.

python examples/train_language_model.py [VIDEO ...] [--steps 100] [--out FOLDER]

Needs `pip install ".[generate]"`. By default a small network reads the shipped clips, about a minute on a
processor. For training in earnest encode once (`sweettok encode videos/ -o tokens/ --fixed`, `sweettok
export tokens/ -o shards/`), or let `sweettok train --config generator-small` do it all.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM

import sweettok
from sweettok.video import read_clip

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("videos", nargs="*", type=Path, default=sorted(Path(__file__).parent.glob("*.mp4")))
parser.add_argument("--frames", type=int, default=34, help="of each video, its first ones")
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--batch", type=int, default=4, help="windows of a step")
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--width", type=int, default=128)
parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
parser.add_argument("--out", help="folder for the network, as transformers saves it")
options = parser.parse_args()
torch.manual_seed(0)

with tempfile.TemporaryDirectory() as folder:
    # Videos to token files, and these to shards: every video one sequence of whole numbers.
    tokenizer = sweettok.load("sweettok-small", options.device)
    for number, video in enumerate(options.videos):
        clip = read_clip(video, start=0, count=options.frames)  # uint8 [t, h, w, 3]
        tokens = tokenizer.encode(clip, budget=sweettok.Budget(fixed=True))
        sweettok.write_tokens(f"{folder}/{number:03}.npz", tokens)
    sweettok.export_folder([folder], f"{folder}/shards")

    # Windows of one clip and one tile of 64x64 pixels, drawn anew each epoch: begin, class, 240 symbols, end.
    dataset = sweettok.TokenDataset(f"{folder}/shards", clips=1, crop=(1, 1), seed=0)
    vocabulary = dataset.vocabulary
    config = LlamaConfig(
        vocab_size=vocabulary.size,
        hidden_size=options.width,
        intermediate_size=3 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=max(1, options.width // 64),
        tie_word_embeddings=True,
        bos_token_id=vocabulary.special("begin"),
        eos_token_id=vocabulary.special("end"),
        pad_token_id=vocabulary.special("pad"),
    )
    network = LlamaForCausalLM(config).to(options.device).train()
    print(
        f"{network.num_parameters():,} parameters, {vocabulary.size} symbols, {len(dataset)} windows an epoch"
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, betas=(0.9, 0.96), weight_decay=0.03)

    def batches() -> Iterator[torch.Tensor]:
        """Symbols [batch, n], epoch after epoch."""
        epoch = 0
        while True:
            dataset.set_epoch(epoch)
            for batch in DataLoader(dataset, options.batch, collate_fn=dataset.collate):
                yield batch["ids"]
            epoch += 1

    for step, ids in zip(range(1, options.steps + 1), batches(), strict=False):
        ids = ids.to(options.device)
        labels = ids.masked_fill(ids == config.pad_token_id, -100)  # what fills up a batch is not learned
        loss = network(input_ids=ids, labels=labels).loss  # nats a symbol
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step == 1 or step % max(1, options.steps // 10) == 0:
            print(f"step {step}: {loss.item():.3f}")

if options.out:
    network.save_pretrained(options.out)
