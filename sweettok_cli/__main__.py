"""``sweettok``, which is also ``python -m sweettok_cli`` and what ``accelerate launch`` runs."""

from __future__ import annotations

import os
import signal
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit.

    Until it is loaded nothing is at work, and Ctrl-C ends the process at once: modules that are being
    imported would print where they were.
    """

    def stop(*_: object) -> None:
        if not {"-q", "--quiet"} & {*sys.argv}:
            os.write(2, b"Interrupted; nothing was written.\n")
        os._exit(_INTERRUPTED)

    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, stop)
    from sweettok_cli.cli.app import main

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


if __name__ == "__main__":
    main()
