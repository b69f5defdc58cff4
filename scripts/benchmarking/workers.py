"""The parent's end of a comparison: one process for each side, asked in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from namexp.errors import UserError

SCRIPTS = Path(__file__).resolve().parents[1]

OURS, PEER, PLAIN = "namexp", "neural-amp-modeler", "namexp with NAMEXP_KERNELS=off"


class Worker:
    """A process that works only while it is asked."""

    def __init__(self, name: str, process: subprocess.Popen[str], said: IO[str]) -> None:
        """Take a process that runs ``benchmarking.serving.serve``.

        Args:
            name: for messages.
            process: with pipes to its stdin and from its stdout.
            said: the file that its stderr goes to.
        """
        self._name, self._process, self._said = name, process, said

    def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Have it done.

        Raises:
            UserError: the process ended; what it said is on stderr.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self._failure(what)
        return json.loads(line)

    def _failure(self, what: str) -> UserError:
        status = self._process.wait()
        self._said.seek(0)
        said = self._said.read().strip()
        print(f"--- {self._name} said:\n{said}\n---", file=sys.stderr)
        reason = said.splitlines()[-1] if said else "it said nothing"
        return UserError(f"{self._name}: the process ended with status {status} at '{what}': {reason}")


@contextmanager
def start(name: str, peer_python: str) -> Iterator[Worker]:
    """Start the worker called ``name``: OURS, PEER or PLAIN."""
    python, module = (peer_python, "peer_side") if name == PEER else (sys.executable, "our_side")
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            [python, "-m", f"benchmarking.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=environment(name),
        ) as process,
    ):
        try:
            yield Worker(name, process, said)
        except BaseException:
            process.kill()
            raise


def environment(name: str) -> dict[str, str]:
    """The variables of a process of OURS, PEER or PLAIN."""
    variables = {key: value for key, value in os.environ.items() if key != "NAMEXP_KERNELS"}
    if name == PLAIN:
        variables["NAMEXP_KERNELS"] = "off"
    ours = variables.get("PYTHONPATH") if name != PEER else None
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SCRIPTS), ours]))
    return variables
