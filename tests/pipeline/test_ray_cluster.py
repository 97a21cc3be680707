"""How many actors of which size a cluster of Ray has room for; none of it needs Ray."""

from __future__ import annotations

import socket
import sys

import pytest

from sweettok_cli.errors import SweettokError, WrongUsage
from sweettok_cli.pipeline.cluster import Node, Shape, check_reachable, joined, node_of, shape_of


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_without_gpus_actors_have_two_cores_each_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [Node(8, 0), Node(5, 0)]
    assert shape_of(nodes, None, "auto") == Shape(6, 2)  # one core is left over
    assert shape_of(nodes, 3, "cpu") == Shape(3, 4)  # 8 cores hold two of them, 5 one
    assert shape_of(nodes, 2, "cpu") == Shape(2, 5)  # six each would leave one without
    assert shape_of(nodes, 13, "cpu") == Shape(13, 1)
    assert shape_of([Node(8, 0), Node(1, 0)], None, "auto") == Shape(9, 1)
    assert shape_of([Node(0, 0), Node(4, 0)], None, "auto") == Shape(2, 2)  # a head that only leads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert shape_of(nodes, None, "auto") == Shape(13, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert shape_of(nodes, None, "auto") == Shape(6, 2)


def test_gpus_are_dealt_out_with_the_cores_beside_them() -> None:
    nodes = [Node(16, 4), Node(32, 0), Node(8, 1)]
    assert shape_of(nodes, None, "auto") == Shape(5, 4, 1.0)
    assert shape_of(nodes, 10, "cuda") == Shape(10, 2, 0.5)
    assert shape_of(nodes, 6, "cuda") == Shape(6, 2, 0.5)
    assert shape_of(nodes, None, "cpu") == Shape(28, 2)
    assert node_of({"CPU": 8.0, "GPU": 2.0, "memory": 1e9}) == Node(8, 2)


@pytest.mark.parametrize(
    ("nodes", "workers", "device", "says"),
    [
        ([Node(2, 0)], 3, "auto", "2 in all; give workers=2 or fewer, or start its nodes"),
        ([Node(1, 0), Node(1, 0)], 3, "cpu", "too few CPUs for 3 workers"),
        ([Node(0, 0)], None, "auto", "0 in all; start its nodes with a larger --num-cpus"),
        ([Node(1, 4)], None, "cuda", "too few CPUs for 4 workers, .* give workers=1 or fewer"),
        ([Node(4, 0)], None, "cuda", "no GPU; pass device='cpu'"),
        ([], None, "auto", "too few CPUs"),
    ],
)
def test_too_few_cores_are_refused_with_what_to_change(
    nodes: list[Node], workers: int | None, device: str, says: str
) -> None:
    with pytest.raises(SweettokError, match=says):
        shape_of(nodes, workers, device)


def test_room_is_counted_by_machines() -> None:
    assert Shape(1, 4).room([Node(7, 0), Node(9, 0)]) == 3
    assert Shape(1, 1, 0.5).room([Node(3, 1), Node(1, 2), Node(64, 0)]) == 3


def test_without_ray_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SweettokError, match=r"pip install 'sweettok\[ray\]'"), joined(None):
        pass


def test_addresses_of_ray_client_are_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    with pytest.raises(WrongUsage, match="HOST:PORT"), joined("ray://head:10001"):
        pass


def test_where_nothing_listens_is_said_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(SweettokError, match=f"Nothing can be reached at 127.0.0.1:{port} "):
            check_reachable(f"127.0.0.1:{port}")
        unused.listen()
        check_reachable(f"127.0.0.1:{port}")
    check_reachable("auto")
    with pytest.raises(SweettokError, match="Nothing can be reached"):
        check_reachable("127.0.0.1:99999999")
