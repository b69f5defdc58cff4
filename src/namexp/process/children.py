"""Programs that this process runs and that must not outlive it, nor what they have started themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Sequence

_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()


def output(command: Sequence[str], seconds: float) -> str:
    """What a program prints that reads nothing.

    Args:
        command: the program and its arguments.
        seconds: after which it is ended.

    Raises:
        OSError: it cannot be started.
        subprocess.CalledProcessError: it fails; with what it printed.
        subprocess.TimeoutExpired: it takes longer.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # a compiler is several programs: they are ended together
    ) as process:
        try:
            with _lock:
                _running.add(process)
            printed, complaints = process.communicate(timeout=seconds)
        except BaseException:  # Ctrl-C too
            _end(process)
            process.wait()
            raise
        finally:
            with _lock:
                _running.discard(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, printed, complaints)
    return printed


def end_children() -> None:
    """End at once all programs that other threads wait for."""
    with _lock:
        for process in _running:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it is over: what was asked for
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
