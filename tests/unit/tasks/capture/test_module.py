"""The task: what it logs, how it clips, and every optimiser and schedule it can be given."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from namexp.engine.callbacks.counting import Counting
from namexp.engine.module import Optimisation
from namexp.schema.optimisation import OPTIMIZERS, SCHEDULERS, OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.config.whole import parse_model
from namexp.tasks.capture.data.module import CaptureDataModule
from namexp.tasks.capture.data.recordings import Part, Recordings
from namexp.tasks.capture.data.windows import Batch
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.capture.metrics import recording_metrics
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network

R = 4
MODELS: dict[str, dict[str, Any]] = {
    "wavenet": {"channels": [2], "head": None, "condition_dsp": None},
    "packed_wavenet": {"channels": [1, 2, 3], "submodels": None},
    "slimmable": {
        "channels": [1, 3], "boosting": False, "init_strategy": "default", "size_sampling": "all",
    },
}  # fmt: skip
SUFFIXES = {
    "wavenet": (),
    "packed_wavenet": ("_packed_0", "_packed_1", "_packed_2"),
    "slimmable": ("_channels_1", "_channels_3"),
}
LOSS = {
    "mse_weight": 1.0, "esr_weight": 0.0, "dc_weight": 0.0, "mrstft_weight": 0.0,
    "pre_emphasis_mse_weight": 0.0, "pre_emphasis_mse_coefficient": 0.85,
    "pre_emphasis_mrstft_weight": 0.0, "pre_emphasis_mrstft_coefficient": 0.85,
}  # fmt: skip
NO_SCHEDULE = SchedulerConfig(None, {}, "epoch", "val_loss")


def _task(
    kind: str = "packed_wavenet",
    *,
    loss: dict[str, float] | None = None,
    val_loss: str = "mse",
    optimizer: OptimizerConfig | None = None,
    scheduler: SchedulerConfig = NO_SCHEDULE,
    clip: float | None = None,
    **model: Any,
) -> CaptureModule:
    array = {
        "kernel_sizes": 2, "dilations": [1, 2], "activation": "Tanh",
        "head": {"kernel_size": 1, "bias": True},
    }  # fmt: skip
    plan = parse_model({"kind": kind, "head_scale": 0.5, "layer_arrays": [array], **MODELS[kind], **model})
    assert plan.receptive_field == R
    return CaptureModule(
        build_network(plan, seed=0),
        Optimisation(optimizer or OptimizerConfig("Adam", 0.01, 0.0, {}), scheduler, gradient_clip_norm=clip),
        loss=LossConfig(**{**LOSS, **(loss or {})}, val_loss=val_loss),
    )


class _Log(dict[str, float]):
    """Takes the place of ``tell`` and of Lightning's ``log``."""

    def __call__(self, name: str, value: Any, **_: Any) -> None:
        assert name not in self, f"{name} is logged twice"
        self[name] = float(value)


def _listen(task: CaptureModule) -> _Log:
    """What the task tells of every step from now on."""
    task.log = task.tell = _Log()
    task.row_is_due = True
    return task.log


def _recordings() -> Iterator[Batch]:
    for n, level in ((1500, 0.5), (2600, 0.1)):
        yield Batch(level * torch.randn(1, n + R - 1), level * torch.randn(1, n))


def _validate(task: CaptureModule, batches: list[Batch]) -> None:
    task.eval()
    task.on_validation_epoch_start()
    for i, batch in enumerate(batches):
        task.validation_step(batch, i)
    task.on_validation_epoch_end()


# --- metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(("val_loss", "metric"), [("esr", "ESR"), ("mse", "MSE"), ("mrstft", "MRSTFT")])
def test_every_rows_metrics_and_their_means(kind: str, val_loss: str, metric: str) -> None:
    task = _task(kind, val_loss=val_loss)
    batches = list(_recordings())
    log = _listen(task)
    _validate(task, batches)
    with torch.no_grad():
        expected = recording_metrics((task.network(x)[0], y[0]) for x, y in batches)
    names = {"val_loss": metric, "ESR": "ESR", "MSE": "MSE", "MRSTFT": "MRSTFT"}
    suffixes = SUFFIXES[kind]
    assert set(log) == set(names) | {f"{name}{s}" for name in names for s in suffixes}
    for name, source in names.items():
        assert log[name] == pytest.approx(expected[source].mean().item(), rel=1e-5)
        for suffix, value in zip(suffixes, expected[source], strict=bool(suffixes)):
            assert log[f"{name}{suffix}"] == pytest.approx(value.item(), rel=1e-5)
    if suffixes:
        assert len({log[f"ESR{s}"] for s in suffixes}) == len(suffixes)  # they do differ


def test_a_second_validation_forgets_the_first() -> None:
    first, second = _recordings()
    task = _task()
    _listen(task)
    _validate(task, [first])
    log = _listen(task)
    _validate(task, [second])
    fresh = _task()
    expected = _listen(fresh)
    _validate(fresh, [second])
    assert log == expected


def test_a_validation_that_was_broken_off_does_not_count() -> None:
    first, second = _recordings()
    task = _task()
    task.eval().validation_step(first, 0)
    log = _listen(task)
    _validate(task, [second])
    fresh = _task()
    expected = _listen(fresh)
    _validate(fresh, [second])
    assert log == expected


def test_a_submodel_that_is_nan_leaves_the_others_metrics_alone() -> None:
    batches = list(_recordings())
    task = _task()
    plain = _listen(task)
    _validate(task, batches)
    with torch.no_grad():
        task.network.row_parameters(1)[0].fill_(torch.nan)
    log = _listen(task)
    _validate(task, batches)
    for name in ("val_loss", "ESR", "MSE", "MRSTFT"):
        assert np.isnan(log[f"{name}_packed_1"])
        assert np.isnan(log[name])  # the mean hides nothing
        for i in (0, 2):
            assert log[f"{name}_packed_{i}"] == plain[f"{name}_packed_{i}"]


def test_the_training_loss_is_the_sum_over_submodels() -> None:
    task = _task(loss={"esr_weight": 0.5})
    log = _listen(task)
    batch = Batch(torch.randn(2, 20), torch.randn(2, 20 - R + 1))
    loss = task.training_step(batch, 0)
    capture_loss = CaptureLoss(LossConfig(**{**LOSS, "esr_weight": 0.5}, val_loss="mse"))
    prediction = task.network(batch.input)
    torch.testing.assert_close(loss, capture_loss(prediction, batch.target))
    means = capture_loss.values(prediction, batch.target).mean(dim=0)
    assert set(log) == {"train/loss", "train/MSE", "train/ESR"}
    assert log["train/loss"] == pytest.approx(loss.item())
    assert (log["train/MSE"], log["train/ESR"]) == pytest.approx(tuple(means.tolist()))


def test_through_lightning_the_metrics_reach_the_callbacks() -> None:
    x = (0.3 * torch.randn(2000)).numpy()
    parts = (Part(x[:900], np.tanh(3 * x[:900])), Part(x[900:], np.tanh(3 * x[900:])))
    recordings = Recordings(parts[:1], parts[1:], 48000, 1.0, {}, embedded=False)
    data = CaptureDataModule(recordings, receptive_field=R, ny=64, batch_size=4, seed=0)
    scheduler = SchedulerConfig("ExponentialLR", {"gamma": 0.5}, "epoch", "val_loss")
    task = _task(val_loss="esr", scheduler=scheduler, clip=1.0)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, log_every_n_steps=1, callbacks=[Counting()],
    )  # fmt: skip
    before = [p.detach().clone() for p in task.network.parameters()]
    trainer.fit(task, datamodule=data)
    validation = {
        f"{n}{s}" for n in ("val_loss", "ESR", "MSE", "MRSTFT") for s in ("", *SUFFIXES["packed_wavenet"])
    }
    training = {"train/loss", "train/MSE", "train/grad_norm", "train/lr"}
    assert set(trainer.callback_metrics) == validation | training
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert metrics["val_loss"] == metrics["ESR"]
    esrs = [metrics[f"ESR{s}"] for s in SUFFIXES["packed_wavenet"]]
    assert metrics["ESR"] == pytest.approx(np.mean(esrs), rel=1e-6)
    assert metrics["train/lr"] == pytest.approx(0.005)  # of the second epoch
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.0025)
    after = list(task.network.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


# --- clipping -------------------------------------------------------------------------------------


def _norm(parameters: list[torch.nn.Parameter]) -> float:
    return float(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm())


def _with_gradients(task: CaptureModule, scales: list[float]) -> list[list[Tensor]]:
    """Give submodel i a gradient of norm ``scales[i]``; return copies."""
    for row, scale in enumerate(scales):
        parameters = task.network.row_parameters(row)
        for p in parameters:
            p.grad = torch.randn_like(p)
        norm = _norm(parameters)
        for p in parameters:
            assert p.grad is not None
            p.grad *= scale / norm
    rows = [task.network.row_parameters(i) for i in range(len(scales))]
    return [[p.grad.clone() for p in row if p.grad is not None] for row in rows]


def test_every_submodel_is_clipped_by_itself() -> None:
    task = _task(clip=1.0)
    log = _listen(task)
    before = _with_gradients(task, [1e6, 0.5, 2.0])
    task.on_before_optimizer_step(torch.optim.SGD(task.parameters(), lr=0.25))
    rows = [task.network.row_parameters(i) for i in range(3)]
    assert [_norm(row) for row in rows] == pytest.approx([1.0, 0.5, 1.0], rel=1e-4)
    for p, old in zip(rows[1], before[1], strict=True):
        assert torch.equal(p.grad, old)  # the huge one did not scale it
    for row, norm in ((0, 1e6), (2, 2.0)):
        for p, old in zip(rows[row], before[row], strict=True):
            torch.testing.assert_close(p.grad, old / norm, rtol=1e-4, atol=1e-7)
    assert log["train/grad_norm"] == pytest.approx((1e12 + 0.25 + 4) ** 0.5, rel=1e-4)  # as they came
    assert log["train/lr"] == 0.25


def test_a_gradient_that_is_not_finite_stays_with_its_submodel() -> None:
    task = _task(clip=1.0)
    _listen(task)
    before = _with_gradients(task, [1.0, 0.5, 0.5])
    broken = task.network.row_parameters(0)[0].grad
    assert broken is not None
    broken.fill_(torch.nan)
    task.on_before_optimizer_step(torch.optim.SGD(task.parameters(), lr=0.1))
    for row in (1, 2):
        for p, old in zip(task.network.row_parameters(row), before[row], strict=True):
            assert torch.equal(p.grad, old)


def test_without_a_limit_nothing_is_clipped() -> None:
    task = _task()
    log = _listen(task)
    before = _with_gradients(task, [1e6, 0.5, 2.0])
    task.on_before_optimizer_step(torch.optim.SGD(task.parameters(), lr=0.1))
    for row in range(3):
        for p, old in zip(task.network.row_parameters(row), before[row], strict=True):
            assert torch.equal(p.grad, old)
    assert log["train/grad_norm"] == pytest.approx(1e6, rel=1e-4)


@pytest.mark.parametrize("kind", ["wavenet", "slimmable"])
def test_a_network_whose_rows_share_is_clipped_as_one(kind: str) -> None:
    task = _task(kind, clip=1.0)
    log = _listen(task)
    for p in task.network.parameters():
        p.grad = 100 * torch.randn_like(p)
    before = _norm(list(task.network.parameters()))
    task.on_before_optimizer_step(torch.optim.SGD(task.parameters(), lr=0.1))
    assert _norm(list(task.network.parameters())) == pytest.approx(1.0, rel=1e-4)
    assert log["train/grad_norm"] == pytest.approx(before, rel=1e-4)


# --- optimisers and schedules ---------------------------------------------------------------------

OPTIONS: dict[str, dict[str, Any]] = {
    "Adam": {"betas": [0.8, 0.95], "eps": 1e-7},
    "AdamW": {"amsgrad": True},
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Rprop": {"etas": [0.4, 1.3]},
    "NAdam": {"decoupled_weight_decay": True},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "ConstantLR": {"factor": 0.5, "total_iters": 3},
    "CosineAnnealingLR": {"T_max": 10},
    "CosineAnnealingWarmRestarts": {"T_0": 4},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.1, "step_size_up": 5},
    "ExponentialLR": {"gamma": 0.9},
    "LinearLR": {"total_iters": 5},
    "MultiStepLR": {"milestones": [1, 3], "gamma": 0.1},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 10},
    "PolynomialLR": {"total_iters": 5, "power": 2.0},
    "ReduceLROnPlateau": {"patience": 0, "factor": 0.5},
    "StepLR": {"step_size": 1, "gamma": 0.5},
}


def _step(task: CaptureModule, optimizer: torch.optim.Optimizer) -> float:
    """One step on a fixed batch; the loss before it."""
    x = torch.linspace(-1, 1, 40)[None]
    optimizer.zero_grad()
    loss = task.loss(task.network(x), torch.tanh(3 * x[:, R - 1 :]))
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_learns(name: str) -> None:
    options = OPTIONS.get(name, {})
    weight_decay = 0.0 if name == "Rprop" else 1e-4
    config = OptimizerConfig(name, 0.01, weight_decay, options)
    task = _task(optimizer=config)
    optimizer = task.configure_optimizers()
    assert type(optimizer) is getattr(torch.optim, name)
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.01
    assert group.get("weight_decay", 0.0) == weight_decay
    for key, value in options.items():
        assert (list(group[key]) if isinstance(value, list) else group[key]) == value
    assert len(group["params"]) == len(list(task.network.parameters()))
    losses = [_step(task, optimizer) for _ in range(4)]
    assert losses[-1] < losses[0]


def test_parameters_that_are_fixed_are_left_out() -> None:
    task = _task()
    for p in task.network.row_parameters(0):
        p.requires_grad_(False)
    (group,) = task.configure_optimizers().param_groups
    trained = [*task.network.row_parameters(1), *task.network.row_parameters(2)]
    assert {id(p) for p in group["params"]} == {id(p) for p in trained}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_every_schedule_changes_the_learning_rate(name: str, interval: str) -> None:
    # a plateau schedule is refused for packs by the schema; the task itself takes it
    task = _task("wavenet", scheduler=SchedulerConfig(name, SCHEDULES[name], interval, "ESR"))
    optimizer = task.configure_optimizers()
    trainer: Any = SimpleNamespace(
        current_epoch=0, check_val_every_n_epoch=1, callback_metrics={"ESR": torch.tensor(1.0)}
    )
    task.trainer = trainer
    if interval == "step" and name == "ReduceLROnPlateau":
        return  # the schema refuses it
    rates, other = [], []
    for _ in range(4):
        before = optimizer.param_groups[0]["lr"]
        _step(task, optimizer)
        task.end_batch()
        between = optimizer.param_groups[0]["lr"]
        task.on_train_epoch_end()
        rates.append(optimizer.param_groups[0]["lr"])
        other.append(between == before if interval == "epoch" else between == rates[-1])
    assert all(other), "stepped in the other interval too"
    assert len(set(rates)) > 1
    if name == "ExponentialLR":
        assert rates == pytest.approx([0.01 * 0.9**i for i in range(1, 5)])


def test_a_plateau_is_looked_for_where_there_was_a_validation() -> None:
    plateau = SchedulerConfig("ReduceLROnPlateau", {"patience": 0, "factor": 0.5}, "epoch", "ESR")
    task = _task("wavenet", scheduler=plateau)
    optimizer = task.configure_optimizers()
    metrics = {"ESR": torch.tensor(0.5)}
    trainer: Any = SimpleNamespace(current_epoch=0, check_val_every_n_epoch=2, callback_metrics=metrics)
    task.trainer = trainer
    rates = []
    for epoch in range(6):
        trainer.current_epoch = epoch
        _step(task, optimizer)
        task.on_train_epoch_end()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]  # best at epoch 1, no better at 3 and 5


def test_a_schedule_goes_on_from_a_checkpoint() -> None:
    decay = SchedulerConfig("ExponentialLR", {"gamma": 0.5}, "epoch", "ESR")
    first, second = _task("wavenet", scheduler=decay), _task("wavenet", scheduler=decay)
    optimizer = first.configure_optimizers()
    _step(first, optimizer)
    first.on_train_epoch_end()
    checkpoint: dict[str, Any] = {"optimizer": optimizer.state_dict()}
    first.on_save_checkpoint(checkpoint)
    other = second.configure_optimizers()
    second.on_load_checkpoint(checkpoint)
    other.load_state_dict(checkpoint["optimizer"])
    second.on_train_start()
    _step(second, other)
    second.on_train_epoch_end()
    assert other.param_groups[0]["lr"] == 0.0025


def test_without_a_schedule_there_is_only_the_optimiser() -> None:
    assert isinstance(_task().configure_optimizers(), torch.optim.Adam)


def test_a_checkpoint_says_what_the_network_is() -> None:
    task = _task()
    task.description = {"format": 1, "seed": 3}
    task.updates = 12
    checkpoint: dict[str, Any] = {"epoch": 4}
    task.on_save_checkpoint(checkpoint)
    assert checkpoint == {"epoch": 4, "namexp": {"format": 1, "seed": 3}, "updates": 12}
