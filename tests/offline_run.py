"""Reads what an offline W&B run has written, without W&B's own tools.

The file is a LevelDB log: a header of 7 bytes, then blocks of 32 KiB with records that may cross them.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

HEADER, BLOCK = 7, 32768
WHOLE, LAST = 1, 4  # kinds of fragments that end a record


@dataclass
class OfflineRun:
    """Everything that one run told."""

    folder: Path
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None

    def values(self, key: str) -> list[Any]:
        """Whatever the history has under ``key``, in order."""
        return [row[key] for row in self.history if key in row]

    def file(self, media: dict[str, Any]) -> Path:
        """The file of a sound, picture or table."""
        return self.folder / "files" / media["path"]

    def logged_keys(self) -> set[str]:
        """Every key of history, summary and config."""
        return {key for row in self.history for key in row} | set(self.summary) | set(self.config)


def offline_runs(run_dir: Path) -> list[OfflineRun]:
    """All runs that were written below a run directory, oldest first, and closed.

    W&B writes in a process of its own: the end of a file may come a little after ``finish``.
    """
    folders = sorted((run_dir / "wandb").glob("offline-run-*"))
    deadline = time.monotonic() + 60
    while True:
        found = [_read(folder) for folder in folders]
        if all(run.exit_code is not None for run in found):
            return found
        assert time.monotonic() < deadline, f"a run in {run_dir} was never closed"
        time.sleep(0.05)


def _read(folder: Path) -> OfflineRun:
    (path,) = folder.glob("run-*.wandb")
    found = OfflineRun(folder)
    for record in _records(path.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            _update(found.config, record.run.config.update)
        elif kind == "config":
            _update(found.config, record.config.update)
        elif kind == "summary":
            _update(found.summary, record.summary.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            _update(row, record.history.item)
            found.history.append(row)
        elif kind == "artifact":
            found.artifacts.append(record.artifact)
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def _update(tree: dict[str, Any], items: Any) -> None:
    for item in items:
        *parents, last = list(item.nested_key) or [item.key]
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = json.loads(item.value_json)


def _records(content: bytes) -> Iterator[Any]:
    position, collected = HEADER, b""
    while position + 7 <= len(content):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        if kind == 0 or position + 7 + length > len(content):  # not written yet
            return
        collected += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(collected)
            collected = b""
            yield record
