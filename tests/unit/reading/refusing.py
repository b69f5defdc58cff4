"""What every reader of stored files promises: damage ends in one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from namexp.errors import UserError


def refusal(read: Callable[[Path], object], path: Path, told: str) -> str:
    """The line with which ``path`` is refused; it says ``told``, a pattern."""
    with pytest.raises(UserError, match=told) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line
