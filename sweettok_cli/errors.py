"""The one exception that is meant for the user's eyes."""


class SweettokError(Exception):
    """Something the user can act on: one sentence that names the file and the remedy.

    The command line prints it as ``error: ...`` and exits with status 1.
    """
