"""A continued training equals one that was never cut off, bit for bit."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.engine import experiment
from namexp.engine.checkpoint import load_checkpoint
from namexp.errors import UserError
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.schema.experiment import resolved_config
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.known import parse_experiment, task_of
from tests.e2e.conftest import num_rows, wait_until
from tests.e2e.test_training import KINDS, SMALL

pytestmark = pytest.mark.e2e

SCHEDULES = {
    "exponential": ["scheduler=exponential"],
    "plateau": [
        "scheduler=none", "scheduler.name=ReduceLROnPlateau", "scheduler.options={patience: 0, factor: 0.5}",
        "scheduler.monitor=MRSTFT",
    ],
    "per step": [
        "scheduler=none", "scheduler.name=OneCycleLR", "scheduler.interval=step",
        "scheduler.options={max_lr: 0.02, total_steps: 200}",
    ],
}  # fmt: skip
CASES = [
    ("packed", "exponential", []),
    ("packed", "per step", ["trainer.gradient_clip_norm=0.01", "trainer.check_val_every_n_epoch=2"]),
    ("wavenet", "plateau", ["callbacks.patience=50"]),
    ("slimmable", "exponential", ["optimizer=adam", "optimizer.name=AdamW", "trainer.max_steps=1000"]),
]
EPOCHS = 5


def _run(root: Path, pair: tuple[Path, Path], *overrides: str, resume: str | None = None) -> CaptureLayout:
    whole = [*SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}", "callbacks=quiet", *overrides]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", whole)
    torch.set_num_threads(1)
    config = parse_experiment(cfg)
    experiment.run(task_of(config), config, resolved_config(cfg, type(config)), root, resume=resume)
    return CaptureLayout(root)


def _fail_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the training break in step ``step``, counted from 0."""
    values, calls = CaptureLoss.values, iter(range(10**6))

    def broken(self: CaptureLoss, *arguments: Any) -> Any:
        if next(calls) == step:
            raise RuntimeError("the power is gone")
        return values(self, *arguments)

    monkeypatch.setattr(CaptureLoss, "values", broken)


def _state(root: RunLayout) -> dict[str, Any]:
    """Everything that must be equal."""
    run = CaptureLayout(root.root)
    last = load_checkpoint(run.last_checkpoint)
    callbacks = last["callbacks"]
    for state in callbacks.values():
        state.pop("seconds", None)
    return {
        "weights": last["state_dict"],
        "optimizer": last["optimizer_states"],
        "schedule": last["schedule"],
        "loops": last["loops"],
        "callbacks": callbacks,
        "best": load_checkpoint(run.best_checkpoint)["state_dict"],
        "bests": [load_checkpoint(p)["state_dict"] for p in run.matching(["packed_best*.ckpt"])],
        "index": run.packed_best.read_text() if run.packed_best.exists() else None,
        "metrics": run.metrics.read_text(),
        "scores": [(s["ESR"], s["MRSTFT"], s["best_epoch"]) for s in read_json(run.summary)["submodels"]],
    }


def _equal(one: Any, other: Any, place: str = "") -> None:
    assert type(one) is type(other), place
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            _equal(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            _equal(a, b, f"{place}/{i}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    else:
        assert one == other, place


def _nam_weights(run: CaptureLayout) -> Any:
    document = json.loads(CaptureLayout(run.root).nam.read_text())
    if document["architecture"] != "SlimmableContainer":
        return document["weights"]
    return [s["model"]["weights"] for s in document["config"]["submodels"]]


@pytest.mark.parametrize(("kind", "schedule", "more"), CASES)
@pytest.mark.parametrize("epoch", [0.5, 2.0, 3.6])  # where it breaks, in epochs
def test_it_goes_on_as_if_nothing_had_happened(
    tmp_path: Path,
    pair: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    schedule: str,
    more: list[str],
    epoch: float,
) -> None:
    overrides = [*KINDS[kind], *SCHEDULES[schedule], *more, f"trainer.max_epochs={EPOCHS}"]
    whole = _run(tmp_path / "whole", pair, *overrides)
    per_epoch = load_checkpoint(whole.last_checkpoint)["global_step"] // EPOCHS
    with monkeypatch.context() as patch:
        _fail_at(patch, int(epoch * per_epoch))
        with pytest.raises(RuntimeError, match="the power is gone"):
            _run(tmp_path / "cut", pair, *overrides)
    assert read_json(CaptureLayout(tmp_path / "cut").status)["state"] == "failed"
    assert not CaptureLayout(tmp_path / "cut").nam.exists()
    cut = _run(tmp_path / "cut", pair, *overrides, resume="auto")
    _equal(_state(cut), _state(whole))
    assert _nam_weights(cut) == _nam_weights(whole)
    assert read_json(cut.status)["state"] == "done"
    assert len(read_json(cut.status)["resumed"]) == 1


def test_bases_and_a_cosine_to_the_end_go_on_too_and_the_end_stays_where_it_is(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        *KINDS["packed"], "optimizer=soap", "scheduler=warmup_cosine", "scheduler.options.warmup_steps=5",
        "trainer.max_epochs=3", "trainer.log_every_n_steps=1",
    ]  # fmt: skip
    whole = _run(tmp_path / "whole", pair, *overrides)
    per_epoch = load_checkpoint(whole.last_checkpoint)["global_step"] // 3
    rates = [float(row["train/lr"]) for row in read_metrics(whole.metrics) if row["train/lr"]]
    assert len(rates) == 3 * per_epoch
    assert rates[:5] == pytest.approx([0.01 * (t + 1) / 5 for t in range(5)])
    progress = (3 * per_epoch - 1 - 5) / (3 * per_epoch - 5)
    assert rates[-1] == pytest.approx(0.01 * (0.02 + 0.98 * (1 + math.cos(math.pi * progress)) / 2))
    with monkeypatch.context() as patch:
        _fail_at(patch, int(1.5 * per_epoch))
        with pytest.raises(RuntimeError, match="the power is gone"):
            _run(tmp_path / "cut", pair, *overrides)
    cut = _run(tmp_path / "cut", pair, *overrides, resume="auto")
    _equal(_state(cut), _state(whole))
    assert _nam_weights(cut) == _nam_weights(whole)
    with pytest.raises(
        UserError, match=r"trainer\.max_steps \(= 7\): .* was begun with None, and .*WarmupCosine"
    ):
        _run(tmp_path / "cut", pair, *overrides, "trainer.max_steps=7", resume="yes")
    assert read_metrics(cut.metrics) == read_metrics(whole.metrics)


def test_a_cosine_that_has_ended_begins_anew_and_a_new_training_of_that_config_is_the_same(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        *KINDS["packed"], "optimizer=soap", "scheduler=warmup_cosine", "scheduler.options.warmup_steps=5",
        "trainer.log_every_n_steps=1",
    ]  # fmt: skip
    short = _run(tmp_path / "run", pair, *overrides, "trainer.max_epochs=2")
    steps = load_checkpoint(short.last_checkpoint)["global_step"]
    first, before = read_metrics(short.metrics), read_json(short.summary)
    with monkeypatch.context() as patch:
        _fail_at(patch, int(0.7 * steps))
        with pytest.raises(RuntimeError, match="the power is gone"):
            _run(tmp_path / "run", pair, *overrides, "trainer.max_epochs=4", resume="yes")
    longer = _run(tmp_path / "run", pair, *overrides, "trainer.max_epochs=4", resume="auto")
    assert read_metrics(longer.metrics)[: len(first)] == first, "the past stays"
    rates = [float(row["train/lr"]) for row in read_metrics(longer.metrics) if row["train/lr"]]
    assert rates[steps - 1] < 0.003 < 0.009 < rates[steps + 5] < 0.010001
    restarts = f"+scheduler.options.restarts=[{steps}]"
    whole = _run(tmp_path / "whole", pair, *overrides, restarts, "trainer.max_epochs=4")
    _equal(_state(longer), _state(whole))
    assert read_json(longer.summary)["training_id"] == read_json(whole.summary)["training_id"]
    assert read_json(longer.summary)["training_id"] != before["training_id"]
    again = _run(tmp_path / "run", pair, *overrides, "trainer.max_epochs=4", resume="auto")
    assert read_metrics(again.metrics) == read_metrics(longer.metrics), "it is done"


@pytest.mark.parametrize("devices", [1, 2])
def test_more_epochs_equal_having_asked_for_them_at_once(
    tmp_path: Path, pair: tuple[Path, Path], devices: int
) -> None:
    settings = [*KINDS["packed"], f"trainer.devices={devices}"]
    whole = _run(tmp_path / "whole", pair, *settings, "trainer.max_epochs=4")
    _run(tmp_path / "short", pair, *settings, "trainer.max_epochs=2")
    longer = _run(tmp_path / "short", pair, *settings, "trainer.max_epochs=4", resume="yes")
    _equal(_state(longer), _state(whole))
    assert read_json(longer.summary)["epochs"] == 4
    assert read_json(longer.summary)["training_id"] == read_json(whole.summary)["training_id"]


def test_what_stopped_early_stays_stopped_unless_asked(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    settings = [*KINDS["wavenet"], "trainer.max_epochs=6"]
    stopped = _run(tmp_path / "run", pair, *settings, "callbacks.stop_at_esr=100")
    assert read_json(stopped.summary)["epochs"] == 1
    stopped.nam.unlink()  # as if it had been killed before the export
    stopped.status.write_text(stopped.status.read_text().replace('"done"', '"running"'))
    again = _run(tmp_path / "run", pair, *settings, "callbacks.stop_at_esr=100", resume="auto")
    assert read_json(again.summary)["epochs"] == 1
    assert again.nam.exists()
    on = _run(tmp_path / "run", pair, *settings, "callbacks.stop_at_esr=null", resume="yes")
    assert read_json(on.summary)["epochs"] == 6


@pytest.mark.parametrize(
    ("first", "then", "resume", "message"),
    [
        ([], ["trainer.max_epochs=2"], "yes", r"is done; ask for more epochs by trainer\.max_epochs=N"),
        ([], ["trainer.max_epochs=1"], "yes", r"trainer\.max_epochs \(= 1\): .* has finished 2 epochs"),
        ([], ["trainer.max_epochs=3", "seed=1"], "auto", r"holds another training \(they differ in seed\)"),
        (["trainer.max_steps=13"], ["trainer.max_steps=15"], "yes", r"in the middle of epoch 2 and cannot"),
        ([], ["trainer.max_epochs=3"], None, r"holds a training already .* resume="),
    ],
)  # fmt: skip
def test_what_cannot_be_continued_is_refused(
    tmp_path: Path,
    pair: tuple[Path, Path],
    first: list[str],
    then: list[str],
    resume: str | None,
    message: str,
) -> None:
    settings = [*KINDS["packed"], "trainer.max_epochs=2"]
    run = _run(tmp_path / "run", pair, *settings, *first)
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message):
        _run(tmp_path / "run", pair, *settings, *then, resume=resume)
    assert {path: path.read_bytes() for path in before} == before


def test_an_export_that_is_missing_after_max_steps_is_made_up_for(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    settings = [*KINDS["packed"], "trainer.max_epochs=3", "trainer.max_steps=13"]
    run = _run(tmp_path / "run", pair, *settings)
    weights, epochs = _nam_weights(run), read_json(run.summary)["epochs"]
    for path in (run.nam, run.summary):
        path.unlink()
    run.status.write_text(run.status.read_text().replace('"done"', '"running"'))  # as after a kill
    again = _run(run.root, pair, *settings, resume="auto")
    assert _nam_weights(again) == weights
    assert read_json(again.summary)["epochs"] == epochs == 1, "whole ones"


def test_without_its_last_state_a_run_is_not_begun_again(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    run = _run(tmp_path / "run", pair, *KINDS["packed"], "trainer.max_epochs=1")
    run.last_checkpoint.unlink()
    with pytest.raises(UserError, match=r"checkpoints/last\.ckpt is missing: there is nothing to go on from"):
        _run(run.root, pair, *KINDS["packed"], "trainer.max_epochs=2", resume="yes")
    assert run.nam.exists()
    assert run.packed_best.exists()


def test_auto_leaves_alone_what_is_done_and_sees_other_recordings(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    settings = [*KINDS["packed"], "trainer.max_epochs=1"]
    run = _run(tmp_path / "run", pair, *settings)
    longer = _run(run.root, pair, *settings, "trainer.max_epochs=2", resume="auto")
    assert read_json(longer.summary)["epochs"] == 2, "more was asked for"
    before = run.last_checkpoint.stat().st_mtime_ns
    _run(run.root, pair, *settings, resume="auto")  # less, as a sweep asks that began it
    assert run.last_checkpoint.stat().st_mtime_ns == before
    exchanged = (pair[1], pair[0])
    with pytest.raises(UserError, match="was trained on data of another content"):
        _run(run.root, exchanged, *settings, "trainer.max_epochs=2", resume="auto")
    with pytest.raises(UserError, match="they differ in init_from"):
        _run(run.root, pair, *settings, f"init_from={run.nam}", resume="auto")


def test_a_schedule_that_ends_too_early_is_refused_before_training(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    schedule = [*SCHEDULES["per step"][:3], "scheduler.options={max_lr: 0.02, total_steps: 40}"]
    with pytest.raises(UserError, match=r"total_steps \(= 40\) must be at least 45: .* \(= 5\) x 9 steps"):
        _run(tmp_path / "run", pair, *KINDS["wavenet"], *schedule, "trainer.max_epochs=5")
    assert not CaptureLayout(tmp_path / "run").last_checkpoint.exists()


def test_recordings_that_have_changed_are_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    _run(tmp_path / "run", pair, *KINDS["packed"], "trainer.max_epochs=1")
    pair[1].write_bytes(pair[0].read_bytes())
    with pytest.raises(UserError, match=r"was trained on data of another content than .*input\.wav"):
        _run(tmp_path / "run", pair, *KINDS["packed"], "trainer.max_epochs=2", resume="yes")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_killed_in_the_middle_and_resumed_by_command(
    tmp_path: Path, pair: tuple[Path, Path], command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    overrides = [
        *KINDS["packed"], *SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}", "callbacks=quiet",
        "trainer.log_every_n_steps=1",
    ]  # fmt: skip
    long = command("train", *overrides, "trainer.max_epochs=6", f"hydra.run.dir={tmp_path / 'whole'}")
    assert long.returncode == 0, long.stderr
    run = CaptureLayout(tmp_path / "a run, killed")
    arguments = [*overrides, "trainer.max_epochs=400", f"hydra.run.dir='{run.root}'"]
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", *arguments],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    wait_until(lambda: num_rows(run.metrics) > 22, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = load_checkpoint(run.last_checkpoint)["callbacks"]["Checkpoints"]["finished_epochs"]
    assert read_json(run.status)["state"] == "running", "nobody was left to say otherwise"
    assert finished < 6, "the machine was too slow to be interrupted in time"
    overrides_file = (run.root / ".hydra" / "overrides.yaml").read_text()

    wrong = command("train", f"resume='{run.root}'", "optimizer.lr=0.5")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1
    assert "optimizer.lr=0.5 cannot be combined with resume" in wrong.stderr
    done = command("train", f"resume='{run.root}'", "trainer.max_epochs=6", "callbacks.plots=true")
    assert done.returncode == 0, done.stderr
    _equal(_state(run), _state(CaptureLayout(tmp_path / "whole")))
    assert (run.root / "comparison.png").exists()
    assert (run.root / ".hydra" / "overrides.yaml").read_text() == overrides_file
    again = command("train", f"resume='{run.root}'")
    assert again.returncode == 1
    assert "is done; ask for more epochs" in again.stderr
    assert not (tmp_path / "outputs").exists(), "a resumed run makes no directory of its own"


@pytest.mark.parametrize("source", ["model.nam", "checkpoints/best.ckpt", "."])
def test_init_from_starts_where_another_run_ended(
    tmp_path: Path, pair: tuple[Path, Path], source: str
) -> None:
    first = _run(tmp_path / "first", pair, *KINDS["packed"], "trainer.max_epochs=3")
    settings = [*KINDS["packed"], "trainer.max_epochs=1", "optimizer.lr=1e-12", "data=raw"]  # another level
    second = _run(tmp_path / "second", pair, *settings, f"init_from={first.root / source}")
    expected = [entry["ESR"] for entry in read_json(first.summary)["submodels"]]
    if source.endswith(".ckpt"):  # the trainer's, of the best mean, has not each submodel's best
        best = load_checkpoint(first.best_checkpoint)["callbacks"]["Checkpoints"]["best_epoch"]
        (row,) = (row for row in read_metrics(first.metrics) if row["val_loss"] and row["epoch"] == str(best))
        expected = [float(row[f"ESR_packed_{i}"]) for i in range(len(expected))]
    found = [entry["ESR"] for entry in read_json(second.summary)["submodels"]]
    assert found == pytest.approx(expected, rel=1e-4)
    begun_anew = _run(tmp_path / "third", pair, *settings)
    assert read_json(begun_anew.summary)["training_id"] != read_json(second.summary)["training_id"]
    anew, old = (read_json(run.summary)["submodels"][1]["ESR"] for run in (begun_anew, first))
    assert anew > 2 * old
