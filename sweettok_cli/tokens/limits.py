"""What a token file may hold at most: beyond that it is refused before any of it is read."""

from __future__ import annotations

#: Tokens of a position at most: counts are bytes.
MAX_LEVELS = 255
#: Bytes of all index arrays together, once unpacked: more than a day of 256x256 video.
MAX_ARRAY_BYTES = 4 << 30
#: Frames a second at most.
HIGHEST_RATE = 1_000_000
#: A pixel at most, wider than high or higher than wide.
MOST_STRETCHED = 100
#: Characters of the JSON string: some fifteen hours of frame times, where the rate varies.
MAX_META_CHARS = 16 << 20
#: Seconds from the first frame to the end of the last: 17 years, the longest pause that MP4 can hold.
MAX_SECONDS = 1 << 29
