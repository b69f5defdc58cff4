"""The worker's end of a comparison: requests as JSON lines on stdin, answers on stdout.

Needs nothing but Python, so that it runs in either program's environment.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests until stdin ends.

    A request is ``{"do": NAME, ...arguments}``, its answer what the handler returns. Whatever else
    is printed goes to stderr; an exception ends the process with its traceback there.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = handlers[request.pop("do")](**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def peak_memory() -> int:
    """The largest resident set that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage on Linux begins with what the process that started this one had
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
