"""Messages through a pipe, and what is seen when its other end is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from namexp.ranks import pipe
from namexp.ranks.pipe import Pipe


def _open(when_closed: Callable[[], None]) -> tuple[Pipe, int]:
    reading, writing = os.pipe()
    return Pipe(reading, when_closed), writing


@pytest.mark.parametrize("size", [0, 1, 3_000_000])  # more than a pipe holds
def test_messages_arrive_whole_and_in_order(size: int) -> None:
    closed = threading.Event()
    received, writing = _open(closed.set)
    with open(writing, "wb", buffering=0) as stream:
        pipe.write(stream, b"a" * size)
        pipe.write(stream, b"second")
        assert (received.read(), received.read()) == (bytearray(b"a" * size), bytearray(b"second"))
        assert not closed.is_set()
    assert closed.wait(20)


def test_half_a_message_is_none() -> None:
    closed = threading.Event()
    received, writing = _open(closed.set)
    os.write(writing, pipe.LENGTH.pack(100) + b"half")
    os.close(writing)
    assert closed.wait(20)
    assert received._messages.empty()


def test_nobody_reads_any_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as stream, pytest.raises(BrokenPipeError):
        pipe.write(stream, b"x")
