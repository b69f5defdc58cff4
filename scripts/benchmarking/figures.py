"""From samples to figures: medians, ratios, tables, and what they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Ratio(NamedTuple):
    """How many times as long something takes as something else."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}..{self.most:.2f})"


def ratio(longer: Sequence[float], shorter: Sequence[float]) -> Ratio:
    """Of what was measured in the same round: the machine's speed drifts, ratios hardly do."""
    pairs = [a / b for a, b in zip(longer, shorter, strict=True)]
    return Ratio(median(pairs), min(pairs), max(pairs))


def seconds(samples: Sequence[float]) -> str:
    """The median, to three digits or more."""
    middle = median(samples)
    if middle >= 10:
        return f"{middle:.1f} s"
    digits = 2 if middle < 0.01 else 1 if middle < 0.1 else 0
    return f"{1000 * middle:.{digits}f} ms"


def megabytes(count: int) -> str:
    """Bytes in MB."""
    return f"{count / 1e6:.0f} MB"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def today() -> str:
    """The date of a measurement."""
    return datetime.now(UTC).date().isoformat()


def machine(device: str = "cpu") -> dict[str, Any]:
    """What the figures depend on."""
    found = {"processor": _processor(), "cores": _cores(), "torch": version("torch")}
    if device == "cuda":
        import torch

        found["gpu"] = torch.cuda.get_device_name()
    return found


def described(found: dict[str, Any]) -> str:
    """One line about a machine."""
    gpu = f"{found['gpu']}, " if "gpu" in found else ""
    cores = f"{found['cores']} core{'s' if found['cores'] > 1 else ''}"
    return f"{gpu}{cores} of {found['processor']}, torch {found['torch']}"


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
