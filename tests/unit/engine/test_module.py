"""Steps, counters and rows of a module that is about nothing in particular."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from namexp.engine.callbacks.counting import Counting
from namexp.engine.module import Optimisation, TaskModule
from namexp.runs.metrics import read_metrics
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tracking.csv_logger import MetricsCsvLogger

HALVED = SchedulerConfig("ExponentialLR", {"gamma": 0.5}, "step", "val_loss")
STILL = SchedulerConfig(None, {}, "epoch", "val_loss")
UNLEARNABLE = {2, 4}  # batches of an epoch


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([1.0]))
        self.b = nn.Parameter(torch.tensor([1.0]))


class _One(TaskModule):
    """A single group; a batch without a finite value is left."""

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> Tensor | None:
        if batch_idx in UNLEARNABLE:
            self.skip()
            return None
        loss = (self.network.a * batch[0]).square().mean() + (self.network.b * batch[0]).square().mean()
        if self.row_is_due:
            self.tell("train/loss", loss.detach())
        return loss

    def validate(self, batch: tuple[Tensor]) -> Tensor:
        return batch[0]

    def validated(self, found: list[Tensor]) -> dict[str, Tensor]:
        return {"val_loss": self.network.a.detach().square()}


class _Each(_One):
    """A group for each parameter, of which the second learns twice as fast, by a constant rate."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"a": [self.network.a], "b": [self.network.b]}

    def optimisation_of(self, group: str) -> Optimisation:
        if group == "a":
            return self.optimisation
        return Optimisation(OptimizerConfig("SGD", 0.02, 0.0, {}), STILL)

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        if batch_idx in UNLEARNABLE:
            self.skip()
            return
        for group, weight in (("a", self.network.a), ("b", self.network.b)):
            self.learn(group, (weight * batch[0]).square().mean())


class _Watch(pl.Callback):
    def __init__(self) -> None:
        self.updates: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.updates.append(pl_module.updates)


def _trained(module: TaskModule, folder: Path, *, every: int = 1) -> tuple[_Watch, list[dict[str, str]]]:
    watch = _Watch()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=MetricsCsvLogger(folder / "metrics.csv"),
        callbacks=[Counting(), watch], enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=every,
    )  # fmt: skip
    batches = DataLoader(TensorDataset(torch.ones(12)), batch_size=2)
    trainer.fit(module, batches, batches)
    rows = read_metrics(folder / "metrics.csv")
    return watch, [row for row in rows if not row["val_loss"]]


@pytest.mark.filterwarnings("ignore:.*training_step.*returned.*None")
@pytest.mark.parametrize("kind", [_One, _Each])
def test_a_skipped_batch_counts_for_nothing(kind: type[_One], tmp_path: Path) -> None:
    module = kind(_Two(), Optimisation(OptimizerConfig("SGD", 0.01, 0.0, {}), HALVED))
    watch, rows = _trained(module, tmp_path)
    assert watch.updates == [1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8]
    assert module.updates == 8
    rates = [0.01 * 0.5**i for i in range(8)]
    a = 1.0
    for rate in rates:
        a -= rate * 2 * a
    assert module.network.a.item() == pytest.approx(a, rel=1e-5)
    suffix = "_a" if kind is _Each else ""
    lr = [row[f"train/lr{suffix}"] for row in rows]
    assert len(lr) == 12
    assert [i % 6 for i, value in enumerate(lr) if value in ("", "nan")] == sorted(UNLEARNABLE) * 2
    assert [float(value) for value in lr if value not in ("", "nan")] == pytest.approx(rates)


def test_every_group_learns_in_its_own_way(tmp_path: Path) -> None:
    module = _Each(_Two(), Optimisation(OptimizerConfig("SGD", 0.01, 0.0, {}), HALVED))
    _, rows = _trained(module, tmp_path)
    assert module.network.b.item() == pytest.approx((1 - 0.04) ** 8, rel=1e-5)
    assert {round(float(row["train/lr_b"]), 6) for row in rows if row["train/lr_b"] != "nan"} == {0.02}


@pytest.mark.filterwarnings("ignore:.*training_step.*returned.*None")
def test_what_is_told_is_of_the_rows_own_step(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    how = Optimisation(OptimizerConfig("SGD", 0.01, 0.0, {}), HALVED)
    _, every = _trained(_One(_Two(), how), tmp_path / "all")
    _, some = _trained(_One(_Two(), how), tmp_path, every=2)
    kept = {row["step"]: row for row in some}
    assert set(kept) == {"1", "3", "5", "7", "9", "11"}
    assert [row for row in every if row["step"] in kept] == some


class _InParts(_Each):
    """Each group learns from the halves of its loss, the second of which is made after the first was used."""

    made: list[str]

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        for group, weight in (("a", self.network.a), ("b", self.network.b)):
            self.learn(group, self._halves(group, weight, batch[0]))

    def _halves(self, group: str, weight: Tensor, x: Tensor) -> Iterator[Tensor]:
        for _ in range(2):
            self.made.append(f"{group} {weight.grad is not None}")
            yield 0.5 * (weight * x).square().mean()


def test_of_several_losses_the_gradients_add_up_one_after_the_other(tmp_path: Path) -> None:
    module = _InParts(_Two(), Optimisation(OptimizerConfig("SGD", 0.01, 0.0, {}), STILL))
    module.made = []
    _trained(module, tmp_path)
    assert module.made[:4] == ["a False", "a True", "b False", "b True"]
    assert module.network.a.item() == pytest.approx((1 - 0.02) ** 12, rel=1e-5)


class _TooLarge(_Each):
    """The second batch of an epoch does not fit, which is found out in the second group's step."""

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        self.unless_out_of_memory(lambda: self._step(batch[0], batch_idx))

    def _step(self, x: Tensor, batch_idx: int) -> None:
        self.learn("a", (self.network.a * x).square().mean())
        if batch_idx == 1:
            self.network.b.grad = torch.ones(1)
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.learn("b", (self.network.b * x).square().mean())


def test_a_batch_that_the_device_cannot_hold_is_left_and_counted(tmp_path: Path) -> None:
    module = _TooLarge(_Two(), Optimisation(OptimizerConfig("SGD", 0.01, 0.0, {}), STILL))
    watch, _ = _trained(module, tmp_path)
    assert watch.updates == [1, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10]
    assert module.out_of_memory == 2
    assert module.network.b.item() == pytest.approx((1 - 0.04) ** 10, rel=1e-5)


class _Apart(_InParts):
    """A group of two parameters, each with a loss of its own, and one that stands by."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"both": [self.network.a, self.network.b], "idle": [self.network.idle]}

    def optimisation_of(self, group: str) -> Optimisation:
        return self.optimisation

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        self.learn("both", self._each(batch[0]), apart=True)

    def _each(self, x: Tensor) -> Iterator[Tensor]:
        for name, weight in (("a", self.network.a), ("b", self.network.b)):
            self.made.append(f"{name} {self.network.a.grad is not None}")
            yield (2 if name == "b" else 1) * (weight * x).square().mean()


@pytest.mark.parametrize("clip", [None, 1e9])
def test_losses_of_different_parameters_are_stepped_apart(tmp_path: Path, clip: float | None) -> None:
    """With momentum, so that an update too many would show; a limit makes them wait for each other."""
    adam = OptimizerConfig("AdamW", 0.01, 0.1, {})
    network = _Two()
    network.idle = nn.Parameter(torch.zeros(1))
    module = _Apart(network, Optimisation(adam, STILL, gradient_clip_norm=clip))
    module.made = []
    _, rows = _trained(module, tmp_path)
    assert module.made[:2] == ["a False", f"b {clip is not None}"]
    expected, norms = _Two(), []
    optimizer = torch.optim.AdamW(expected.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    for _ in range(12):
        optimizer.zero_grad()
        (expected.a.square() + 2 * expected.b.square()).sum().backward()
        norms.append(float(torch.nn.utils.get_total_norm([expected.a.grad, expected.b.grad])))
        optimizer.step()
    assert torch.equal(module.network.a, expected.a)
    assert torch.equal(module.network.b, expected.b)
    told = [float(row["train/grad_norm_both"]) for row in rows]
    assert told == pytest.approx(norms, rel=1e-5)
