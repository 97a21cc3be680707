"""``python stopping.py models pull NAME``: the real command, which stops for good at a moment.

The moment is before the file called ``STOP_AT`` is renamed into its place, of which Python tells in an audit
event. The process makes the file ``STOPPED`` then, and sleeps until it is killed.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def stop(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename" and Path(str(arguments[1])).name == os.environ.get("STOP_AT"):
        Path(os.environ["STOPPED"]).touch()
        time.sleep(600)


if __name__ == "__main__":
    from sweettok_cli.cli.app import main

    sys.addaudithook(stop)
    main()
