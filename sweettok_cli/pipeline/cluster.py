"""A cluster of Ray, and how many actors of which size it has room for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import ModuleType
from typing import Any

from sweettok_cli.errors import SweettokError, WrongUsage, option
from sweettok_cli.runtime import cores, threads_allowed

#: The minor version that is tried.
TRIED = "2.60"
#: Cores of an actor where nobody says, unless ``OMP_NUM_THREADS`` says less.
USUAL_CORES = 2
#: How threads are called that end with the connection: ours, and those of Ray Data.
LISTENER = "ray crew"
_THREADS = (LISTENER, "StreamingExecutor")
# Of a cluster of our own: paths and rows are all that goes through it. Ray takes no less than 75 MiB.
_STORE = 128 << 20
# Nothing is reported to anybody; what still runs when a connection has ended does not open another.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
_PATIENCE = 15.0  # seconds until what has just ended has given back its cores
_REACH = 10.0  # seconds within which a cluster's head answers


@dataclass(frozen=True)
class Ray:
    """Where actors of Ray encode.

    Attributes:
        address: of a cluster; None for one of its own on this machine.
        device: of the models, as on the command line.
    """

    address: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Node:
    """What a machine of the cluster offers."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Shape:
    """So many actors, each with so many cores and so much of a GPU."""

    actors: int
    cpus: int
    gpus: float = 0.0

    def room(self, nodes: Sequence[Node]) -> int:
        """How many such actors these machines have room for."""
        each = round(1 / self.gpus) if self.gpus else 0
        return sum(min(node.cpus // self.cpus, node.gpus * each if each else node.cpus) for node in nodes)


def shape_of(nodes: Sequence[Node], workers: int | None, device: str) -> Shape:
    """The actors for a cluster: one a GPU, else one for every few cores, unless ``workers`` says how many.

    Args:
        nodes: its machines.
        workers: actors.
        device: ``cuda``, ``cpu`` or ``mps``; ``auto`` takes GPUs where there are any.

    Raises:
        SweettokError: the cluster has no room for them, and they would wait for each other for ever.
    """
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    if device == "cuda" and not gpus:
        raise SweettokError(
            f"Ray knows of no GPU; pass {option('device', 'cpu')}, or start its nodes with --num-gpus."
        )
    if gpus and device in ("auto", "cuda"):
        actors = workers or gpus
        together = ceil(actors / gpus)  # on a GPU
        with_gpus = [node for node in nodes if node.gpus]
        each = max(1, min(node.cpus // (node.gpus * together) for node in with_gpus))
        shape = Shape(actors, each, 1 / together)
    elif workers:
        each = max(1, cpus // workers)
        while each > 1 and Shape(workers, each).room(nodes) < workers:
            each -= 1
        shape = Shape(workers, each)
    else:
        each = max(
            1,
            min([threads_allowed() or USUAL_CORES, USUAL_CORES, *(node.cpus for node in nodes if node.cpus)]),
        )
        shape = Shape(max(1, Shape(1, each).room(nodes)), each)
    if (room := shape.room(nodes)) < shape.actors:
        what = f"{shape.actors} worker{'s' * (shape.actors != 1)}"
        less = f"give {option('workers', room)} or fewer, or " if room else ""
        raise SweettokError(
            f"Ray has too few CPUs for {what}, each of which needs one of its own: {cpus} in all; {less}"
            "start its nodes with a larger --num-cpus."
        )
    return shape


def ray_module() -> ModuleType:
    """``ray``, with ``ray.data``.

    Raises:
        SweettokError: it is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        if name != "RAY_BACKEND_LOG_LEVEL" or not _debugging():
            os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SweettokError(
            f"{option('engine', 'ray')} needs Ray {TRIED}; run: pip install 'sweettok[ray]'"
        ) from error
    return ray


@contextmanager
def joined(address: str | None) -> Iterator[ModuleType]:
    """In the block, ``ray`` is connected to a cluster: that of an address, or one of its own, here.

    Raises:
        SweettokError: Ray is not installed, or there is no such cluster.
    """
    ray = ray_module()
    if address is not None and address.startswith("ray://"):
        raise WrongUsage(
            f"{option('ray_address', address)} is of Ray's client; give HOST:PORT of a cluster's own machine."
        )
    if address is not None:
        check_reachable(address)
    if ray.is_initialized():
        raise SweettokError("Ray is in use in this process; call ray.shutdown() first.")
    if not ray.__version__.startswith(f"{TRIED}."):
        logging.getLogger(__name__).warning(
            "Ray %s is installed, %s has been tried: pip install 'sweettok[ray]'", ray.__version__, TRIED
        )
    own: dict[str, Any] = {"num_cpus": cores(), "object_store_memory": _STORE, "include_dashboard": False}
    try:
        with _signals_kept(), _mute():
            ray.init(
                address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **({} if address else own),
            )
            _hush(ray)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
        where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
        raise SweettokError(
            f"There is no connection to {where} ({first}); look at `ray status`, or do without "
            f"{option('engine', 'ray')}."
        ) from error
    try:
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()
        for thread in threading.enumerate():
            if thread.name.startswith(_THREADS):
                thread.join(_PATIENCE)


def check_reachable(address: str) -> None:
    """Raise :class:`SweettokError` where nothing listens at HOST:PORT: Ray itself would wait for minutes.

    Other addresses, such as ``auto``, are left to Ray.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    except (OSError, OverflowError) as error:
        raise SweettokError(
            f"Nothing can be reached at {address} ({error}); give the address of a Ray cluster's head, as "
            "`ray status` or `ray start` tells it."
        ) from error


def nodes_of(ray: ModuleType) -> list[Node]:
    """The machines of the cluster that are alive."""
    return [node_of(each["Resources"]) for each in ray.nodes() if each["Alive"]]


def node_of(resources: Mapping[str, float]) -> Node:
    """What Ray says of a machine."""
    return Node(int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))


def await_room(ray: ModuleType, shape: Shape) -> None:
    """Wait a little until one actor at least can start.

    Raises:
        SweettokError: others use the cluster.
    """
    give_up = time.monotonic() + _PATIENCE
    while True:
        free = ray.available_resources()
        if free.get("CPU", 0) >= shape.cpus and free.get("GPU", 0) >= shape.gpus:
            return
        if time.monotonic() > give_up:
            gpus = f" and {shape.gpus:g} of a GPU" if shape.gpus else ""
            raise SweettokError(
                f"No worker of {shape.cpus} CPUs{gpus} has room in Ray while others use it; wait until they "
                f"end (`ray status`), or give more actors ({option('workers', 'N')}) of fewer CPUs each."
            )
        time.sleep(0.5)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray answers SIGTERM by itself from its start on; ours removes what is unfinished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _debugging() -> bool:
    return os.environ.get("SWEETTOK_DEBUG") == "1"


@contextmanager
def _mute() -> Iterator[None]:
    """Nothing goes to this process' stderr: what is not Python's in Ray greets there."""
    if _debugging():
        yield
        return
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _hush(ray: ModuleType) -> None:
    """Ray tells developers what it does, in part on stdout, where results belong."""
    if _debugging():
        return
    ray._private.worker._worker_logs_enabled = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL)
