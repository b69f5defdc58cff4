"""metrics.csv as Lightning fills it, and W&B runs that stay on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from namexp.errors import UserError
from namexp.runs.metrics import read_metrics
from namexp.schema.training import LoggerConfig
from namexp.tracking.csv_logger import MetricsCsvLogger
from namexp.tracking.wandb_logger import build_wandb_logger, finish_wandb

# --- metrics.csv ----------------------------------------------------------------------------------


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


# --- Weights & Biases -----------------------------------------------------------------------------


@pytest.fixture
def _wandb_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    finish_wandb()


def _build(run_dir: Path, **settings: Any) -> Any:
    values = {
        "kind": "wandb", "project": "namexp-tests", "mode": "offline", "name": None, "group": None,
        "tags": ["mine"],
    }  # fmt: skip
    run_dir.mkdir()
    return build_wandb_logger(
        LoggerConfig(**{**values, **settings}),
        run_dir=run_dir,
        resolved={"seed": 3, "model": {"channels": [3, 8]}},
        tags=["packed_wavenet"],
    )


@pytest.mark.usefixtures("_wandb_at_home")
def test_two_trainings_of_one_process_are_two_runs(tmp_path: Path) -> None:
    ids = []
    for name in ("first", "second"):
        logger = _build(tmp_path / name)
        run = logger.experiment
        assert wandb.run is run
        logger.log_metrics({"ESR": 0.5}, step=0)
        ids.append(run.id)
        assert (run.offline, run.name, run.project) == (True, name, "namexp-tests")
        assert set(run.tags) == {"packed_wavenet", "mine"}
        assert run.config["seed"] == 3
        assert run.config["model"]["channels"] == [3, 8]
        finish_wandb()
        assert wandb.run is None
    assert ids[0] != ids[1]
    for run_id, name in zip(ids, ("first", "second"), strict=True):
        (folder,) = (tmp_path / name / "wandb").glob("offline-run-*")
        assert folder.name.endswith(run_id)
        assert (folder / f"run-{run_id}.wandb").stat().st_size > 0
        assert not list((tmp_path / "wandb_dir").glob("**/offline-run-*"))


@pytest.mark.usefixtures("_wandb_at_home")
def test_a_name_and_a_group_of_ones_own(tmp_path: Path) -> None:
    run = _build(tmp_path / "run", name="plexi", group="sweep 7", tags=None).experiment
    assert (run.name, run.group, run.job_type) == ("plexi", "sweep 7", "train")
    assert list(run.tags) == ["packed_wavenet"]


@pytest.mark.usefixtures("_wandb_at_home")
def test_a_run_that_was_left_open_is_not_continued(tmp_path: Path) -> None:
    left_open = _build(tmp_path / "first").experiment.id
    run = _build(tmp_path / "second").experiment
    assert run.id != left_open
    assert run.name == "second"


@pytest.mark.usefixtures("_wandb_at_home")
def test_online_without_an_account_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no .netrc
    with pytest.raises(UserError) as caught:
        _build(tmp_path / "run", mode="online")
    message = str(caught.value)
    assert message.startswith("logger.mode (= online): W&B does not start: ")
    assert message.endswith("; log in, or use logger.mode=offline.")
    assert "\n" not in message


def test_finishing_without_a_run_is_no_error() -> None:
    assert wandb.run is None
    finish_wandb()
    assert wandb.run is None
