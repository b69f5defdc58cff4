"""Names in a run directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunLayout:
    """Where everything of one run lies."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved config, written once, before the first step."""
        return self.root / "config.yaml"

    @property
    def status(self) -> Path:
        """running, done, failed or interrupted."""
        return self.root / "status.json"

    @property
    def lock(self) -> Path:
        """Held by the process that works here."""
        return self.root / ".lock"

    @property
    def metrics(self) -> Path:
        """Every metric, a row per validation and per few steps."""
        return self.root / "metrics.csv"

    @property
    def summary(self) -> Path:
        """What came out, for comparisons."""
        return self.root / "summary.json"

    @property
    def comparison(self) -> Path:
        """The picture."""
        return self.root / "comparison.png"

    def spectrogram(self, suffix: str) -> Path:
        """Picture of the submodel whose metrics end in ``suffix``."""
        return self.root / f"comparison_spectrogram{suffix}.png"

    @property
    def wandb_id(self) -> Path:
        """The W&B run that belongs to this directory, so that a continued training goes on in it."""
        return self.root / "wandb_id.txt"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tensorboard"

    @property
    def report(self) -> Path:
        """The page of this run."""
        return self.root / "report.html"

    @property
    def audio_target(self) -> Path:
        """What the amp played: the beginning of the validation part."""
        return self.root / "audio" / "target.flac"

    def audio_prediction(self, index: int) -> Path:
        """What size ``index`` plays there, sample for sample beside ``audio_target``."""
        return self.root / "audio" / f"prediction_{index}.flac"

    @property
    def checkpoints(self) -> Path:
        """Directory of the trainer's checkpoints."""
        return self.root / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """State of training after the last finished epoch."""
        return self.checkpoints / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        """State with the best val_loss; of several rows: the best mean."""
        return self.checkpoints / "best.ckpt"

    def step_checkpoint(self, updates: int) -> Path:
        """Weights after so many batches."""
        return self.checkpoints / f"step_{updates}.ckpt"

    def step_checkpoints(self) -> list[Path]:
        """Those that there are, the oldest first."""
        found = (path for path in self.checkpoints.glob("step_*.ckpt") if path.stem[5:].isdecimal())
        return sorted(found, key=lambda path: int(path.stem[5:]))

    def matching(self, patterns: Iterable[str]) -> list[Path]:
        """The files whose paths in the directory match, pattern by pattern."""
        return [path for pattern in patterns for path in sorted(self.root.glob(pattern))]

    def trainer_checkpoints(self) -> list[Path]:
        """Those of the trainer that there are."""
        return [path for path in (self.last_checkpoint, self.best_checkpoint) if path.exists()]

    def best_or_last(self) -> Path | None:
        """The checkpoint whose weights count: the last one where none was the best; None without any."""
        return next((p for p in (self.best_checkpoint, self.last_checkpoint) if p.exists()), None)

    def discard_training(self, files: Iterable[str]) -> None:
        """Remove what a training leaves while it runs, so that nothing of it mixes with another.

        Args:
            files: patterns of what a task leaves and makes besides checkpoints and metrics.
        """
        for path in [
            *self.trainer_checkpoints(), *self.step_checkpoints(), *self.matching(files), self.metrics
        ]:  # fmt: skip
            path.unlink(missing_ok=True)
