"""What can have become of a run: the words of status.json, and those for what it cannot say itself."""

from __future__ import annotations

from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
CUT_OFF = "cut off"  # its process ended without a word
MISSING = "missing"  # a sweep promises it, and it never began
UNKNOWN = "unknown"  # its status cannot be read


def is_done(run: RunLayout) -> bool:
    """Whether the run has ended well.

    Raises:
        UserError: its status cannot be read.
    """
    return run.status.exists() and read_json(run.status).get("state") == DONE
