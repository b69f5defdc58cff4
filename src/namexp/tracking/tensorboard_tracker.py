"""TensorBoard: event files in the run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import torch
from torch.utils.tensorboard import SummaryWriter

from namexp.tracking.tracker import Clip, RunDescription, Tracker


class TensorboardTracker(Tracker):
    """Scalars, sound and pictures under the keys of keys.py; tables and facts as text."""

    def __init__(self, about: RunDescription) -> None:
        folder = about.layout.tensorboard
        super().__init__(continued=folder.exists())
        self._writer: Any = SummaryWriter(str(folder))
        self.summarise(about.summary)

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def _audio(self, clips: Mapping[str, Clip], step: int) -> None:
        for key, clip in clips.items():
            samples = torch.from_numpy(clip.samples)[None]
            self._writer.add_audio(key, samples.clamp(-1, 1), step, sample_rate=clip.sample_rate)

    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None:
        for key, path in pictures.items():
            self._writer.add_image(key, matplotlib.image.imread(path), step, dataformats="HWC")

    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        lines = [columns, ["---"] * len(columns), *rows]
        text = "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)
        self._writer.add_text(key, text, step)

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Numbers as scalars of one point, the rest as text."""
        for key, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(key, value, self.last_step)
            else:
                self._writer.add_text(key, str(value), self.last_step)

    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Nothing: they lie beside the event files."""

    def close(self, error: BaseException | None) -> None:
        """Write what is left."""
        if error is not None:
            self.summarise({"error": f"{type(error).__name__}: {error}"})
        self._writer.close()


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
