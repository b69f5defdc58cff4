"""How the second task is reached: imports inside, as in ``namexp.tasks.known``."""

from __future__ import annotations

from typing import Any

from namexp.tasks.known import Known


def _config() -> Any:
    from tests.second_task.config import LineConfig

    return LineConfig


def _task() -> Any:
    from tests.second_task.task import Line

    return Line()


LINE = Known(_config, _task)
