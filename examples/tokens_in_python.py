"""Video to tokens and back in Python: what a language model over video tokens starts from.

python examples/tokens_in_python.py [VIDEO]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import sweettok
from sweettok.metrics.psnr import psnr
from sweettok.video import Fit, read_clip

video = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "mdn+shared-assets__000.mp4"
tokenizer = sweettok.load("sweettok-small")
print(tokenizer)

# A clip of 17 frames at a time: plain arrays in, plain arrays out.
clip = read_clip(video, start=0, count=tokenizer.spec.clip_frames)  # uint8 [17, h, w, 3]
if len(clip) < tokenizer.spec.clip_frames:
    sys.exit(f"{video} has {len(clip)} frames, fewer than a clip has: {tokenizer.spec.clip_frames}.")
fit = Fit.to_multiple(clip.shape[2], clip.shape[1], tokenizer.spec.multiple)
fixed = sweettok.Budget(fixed=True)  # a token at every position; else as many as each position needs
ids = tokenizer.encode_clips(fit.pad(clip)[None], fixed)  # {"spatial": uint16 [1, S, 3], "temporal": ...}
back = fit.crop(tokenizer.decode_clips(ids, fit.padded_height, fit.padded_width)[0])
print({name: array.shape for name, array in ids.items()})
print(f"{np.mean([psnr(a, b) for a, b in zip(clip, back, strict=True)]):.2f} dB over one clip")

# One flat sequence of integers for a language model: a range of its own for every column of every codebook.
columns, offset = [], 0
for name, sizes in tokenizer.spec.fixed.codebooks.items():
    for column, size in enumerate(sizes):
        columns.append(ids[name][0, :, column].astype(np.int64) + offset)
        offset += size
print(f"{sum(map(len, columns))} indices below {offset}")

# Any video in memory, of any length and size.
tokens = tokenizer.encode(clip[:10], rate=24)
print(tokenizer.decode(tokens).shape, tokens.meta.clips)

# A whole file, streaming: memory does not grow with its length.
with tempfile.TemporaryDirectory() as folder:
    tokens = tokenizer.encode(video)
    sweettok.write_tokens(f"{folder}/clip.npz", tokens)
    sweettok.decode_video(sweettok.read_tokens(f"{folder}/clip.npz"), tokenizer, f"{folder}/clip.decoded.mp4")
    print(f"{tokens.meta.frames} frames in {tokens.meta.clips} clips")
