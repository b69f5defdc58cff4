"""Messages from the first process to another that it has started, through the pipe on its stdin.

Only the first process holds the other end, so what comes through it may be unpickled. What comes over a
socket may not: any user of the machine could have sent it.
"""

from __future__ import annotations

import os
import queue
import struct
import threading
from collections.abc import Callable
from typing import IO

LENGTH = struct.Struct("<Q")  # of the message that follows, in bytes
AT_ONCE = 1 << 20


def write(stream: IO[bytes], content: bytes) -> None:
    """One message into a stream without a buffer, in which nothing stays when this is broken off.

    Raises:
        BrokenPipeError: the other end is closed.
    """
    for part in (LENGTH.pack(len(content)), content):
        left = memoryview(part)
        while left:
            left = left[stream.write(left) :]


class Pipe:
    """The other end: a thread reads from the beginning on, so that it sees at once when there is nobody."""

    def __init__(self, descriptor: int, when_closed: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._when_closed = when_closed
        self._messages: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True, name="first process").start()

    def read(self) -> bytearray:
        """The next message; waits for it."""
        return self._messages.get()

    def _listen(self) -> None:
        while True:
            head = self._exactly(LENGTH.size)
            content = head and self._exactly(*LENGTH.unpack(head))
            if content is None:
                break
            self._messages.put(content)
        self._when_closed()

    def _exactly(self, size: int) -> bytearray | None:
        """So many bytes; None where the pipe ends before."""
        content = bytearray(size)
        missing = memoryview(content)
        while missing:
            # sys.stdin has a lock that could not be broken at the end
            got = os.read(self._descriptor, min(len(missing), AT_ONCE))
            if not got:
                return None
            missing[: len(got)] = got
            missing = missing[len(got) :]
        return content
