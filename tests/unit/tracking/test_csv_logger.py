"""metrics.csv as Lightning fills it."""

from __future__ import annotations

from pathlib import Path

from namexp.runs.metrics import read_metrics
from namexp.tracking.csv_logger import MetricsCsvLogger


def test_rows_as_lightning_logs_them(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    logger = MetricsCsvLogger(path)
    logger.log_hyperparams({"seed": 0})
    logger.log_metrics({"train/loss": 0.5, "epoch": 0}, step=9)
    logger.log_metrics({"val_loss": 0.25, "ESR": 0.125, "epoch": 0.0}, step=19)
    logger.log_metrics({"epoch": 1}, step=20)  # nothing to tell
    assert path.read_text().splitlines() == [
        "epoch,step,train/loss,ESR,val_loss", "0,9,0.5,,", "0,19,,0.125,0.25",
    ]  # fmt: skip


def test_without_steps_only_validations_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    logger = MetricsCsvLogger(path, steps=False)
    logger.log_metrics({"train/loss": 0.5, "epoch": 0}, step=9)
    logger.log_metrics({"val_loss": 0.25, "ESR": 0.125, "epoch": 0}, step=19)
    assert path.read_text().splitlines() == ["epoch,step,ESR,val_loss", "0,19,0.125,0.25"]


def test_what_lightning_gave_is_left_as_it_was(tmp_path: Path) -> None:
    metrics = {"ESR": 0.5, "epoch": 3}
    MetricsCsvLogger(tmp_path / "metrics.csv").log_metrics(metrics)
    assert metrics == {"ESR": 0.5, "epoch": 3}
    assert read_metrics(tmp_path / "metrics.csv") == [{"epoch": "3", "step": "0", "ESR": "0.5"}]


def test_a_second_logger_continues_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsCsvLogger(path).log_metrics({"ESR": 0.5, "epoch": 0}, step=9)
    MetricsCsvLogger(path).log_metrics({"ESR": 0.25, "epoch": 1}, step=19)
    assert [row["ESR"] for row in read_metrics(path)] == ["0.5", "0.25"]
