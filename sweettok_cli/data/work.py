"""Something done with every clip, many at once: what came of it, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import Any

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.pieces import Stopped
from sweettok_cli.files import WriteError
from sweettok_cli.runtime import OnProgress


class Work:
    """Threads at work, which stop once there is no use in it."""

    def __init__(self, workers: int) -> None:
        self.unreadable: dict[int, str] = {}  # why, by place
        self._workers = workers
        self._stopped = Event()

    def called_off(self) -> bool:
        """Whether there is no use in going on."""
        return self._stopped.is_set()

    def each(
        self,
        places: Sequence[int],
        entries: Sequence[Entry],
        do: Callable[[int], Any],
        on_progress: OnProgress,
    ) -> Iterator[tuple[int, Any]]:
        """Each place with what was done there, as they come; why not, in :attr:`unreadable`."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="pack") as pool:
            try:
                waiting = {pool.submit(do, place): place for place in places}
                for done, future in enumerate(as_completed(waiting), 1):
                    place = waiting[future]
                    try:
                        yield place, future.result()
                    except (MemoryError, WriteError, Stopped):
                        raise
                    except Exception as error:  # whatever a decoder makes of one damaged clip
                        self.unreadable[place] = entries[place].why(error)
                    on_progress(done, len(places))
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
