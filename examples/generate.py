"""Videos out of a generator that `sweettok train --config generator-small` made.

python examples/generate.py RUN [CLASS]
"""

import sys

import sweettok

run, label = sys.argv[1], (sys.argv[2:] or [None])[0]
try:
    generator = sweettok.load_generator(run)
    tokenizer = generator.tokenizer()
    wish = sweettok.Wish(label=label, seed=1, drawing=sweettok.Drawing(temperature=0.9, top_p=0.95))
    for number, tokens in enumerate(generator.generate(4, wish)):
        sweettok.write_tokens(f"generated-{number}.npz", tokens)
        sweettok.decode_video(tokens, tokenizer, f"generated-{number}.mp4")
except sweettok.SweettokError as error:
    sys.exit(f"error: {error}")
