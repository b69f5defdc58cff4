"""Windows by their formula, and Lightning's way of asking for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from namexp.data.order import EpochOrder
from namexp.tasks.capture.data.module import CaptureDataModule
from namexp.tasks.capture.data.recordings import Part, Recordings
from namexp.tasks.capture.data.windows import (
    Batch,
    Picked,
    PickedWindows,
    ValidationDataset,
    WindowDataset,
)

R, NY = 5, 4


def _part(n: int, offset: int) -> Part:
    x = np.arange(n, dtype=np.float32) + offset
    return Part(x, -x)


PARTS = (_part(30, 0), _part(21, 1000))


def test_windows_are_what_the_formula_says_over_two_parts() -> None:
    windows = WindowDataset(PARTS, receptive_field=R, ny=NY)
    expected = []
    for x, y in PARTS:
        count = (x.size - (R - 1)) // NY
        for i in range(count):
            expected.append((x[i * NY : i * NY + R + NY - 1], y[i * NY + R - 1 : i * NY + R - 1 + NY]))
    assert len(windows) == len(expected) == 6 + 4
    for i, (x, y) in enumerate(expected):
        window = windows[i]
        np.testing.assert_array_equal(window.input, x[None])
        np.testing.assert_array_equal(window.target, y[None])


def test_every_target_belongs_to_the_last_samples_of_its_input() -> None:
    windows = WindowDataset(PARTS, receptive_field=R, ny=NY)
    batch = windows.__getitems__(range(len(windows)))
    assert torch.equal(batch.target, -batch.input[:, R - 1 :])


@pytest.mark.parametrize(("n", "count"), [(8, 1), (11, 1), (12, 2), (15, 2), (16, 3)])
def test_the_rest_that_fills_no_window_is_dropped(n: int, count: int) -> None:
    windows = WindowDataset([_part(n, 0)], receptive_field=R, ny=NY)
    assert len(windows) == count
    last = windows[count - 1]
    assert last.target[0, -1] == -(count * NY + R - 2)


def test_a_part_too_short_for_a_window_gives_none() -> None:
    windows = WindowDataset([_part(R + NY - 2, 500), _part(R + NY - 1, 0)], receptive_field=R, ny=NY)
    assert len(windows) == 1
    assert windows[0].input[0, 0] == 0


def test_a_batch_is_its_windows_in_the_order_asked_for() -> None:
    windows = WindowDataset(PARTS, receptive_field=R, ny=NY)
    batch = windows.__getitems__([7, 0, 7])
    assert isinstance(batch, Batch)
    assert batch.input.shape == (3, R + NY - 1)
    assert batch.target.shape == (3, NY)
    assert batch.input[:, 0].tolist() == [1000 + NY, 0, 1000 + NY]


def test_validation_keeps_the_whole_part_and_leaves_the_context_unscored() -> None:
    recordings = ValidationDataset(PARTS, receptive_field=R)
    assert len(recordings) == 2
    for i, part in enumerate(PARTS):
        np.testing.assert_array_equal(recordings[i].input, part.input[None])
        np.testing.assert_array_equal(recordings[i].target, part.target[None, R - 1 :])


# --- recordings on a device -----------------------------------------------------------------------


def test_a_device_gathers_the_same_windows_from_their_indices() -> None:
    parts = (_part(30, 0), _part(R + NY - 2, 500), _part(21, 1000))  # the second gives no window
    windows = WindowDataset(parts, receptive_field=R, ny=NY)
    resident = windows.resident(torch.device("cpu"))
    picked = PickedWindows(len(windows))
    assert len(picked) == len(windows) == 10
    for indices in ([7, 0, 7], list(range(10)), [9]):
        batch, expected = resident.gather(picked.__getitems__(indices)), windows.__getitems__(indices)
        assert torch.equal(batch.input, expected.input)
        assert torch.equal(batch.target, expected.target)
    assert torch.equal(resident.gather(picked[4]).input, windows[4].input)


def test_windows_that_were_gathered_are_not_the_recordings_themselves() -> None:
    windows = WindowDataset(PARTS, receptive_field=R, ny=NY)
    resident = windows.resident(torch.device("cpu"))
    resident.gather(Picked(torch.tensor([0]))).input.fill_(9.0)
    assert torch.equal(resident.gather(Picked(torch.tensor([0]))).input, windows[0].input)


# --- with Lightning ------------------------------------------------------------------------------


class _Listener(pl.LightningModule):
    """Writes down which windows come in which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.heard: dict[int, list[list[float]]] = {}

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        assert isinstance(batch, Batch)
        assert batch.input.dtype == batch.target.dtype == self.weight.dtype
        assert torch.equal(batch.target, -batch.input[:, R - 1 :])
        self.heard.setdefault(self.current_epoch, []).append(batch.input[:, 0].tolist())
        return self.weight * batch.target.mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert batch.input.shape == (1, 21)
        assert batch.target.shape == (1, 21 - (R - 1))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["gathered here", "gathered on the device"])
@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("64-true", torch.float64)])
def test_lightning_takes_a_new_order_in_every_epoch(
    elsewhere: bool, precision: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if elsewhere:
        monkeypatch.setattr(CaptureDataModule, "_elsewhere", True)
    train, validation = PARTS
    recordings = Recordings((train,), (validation,), 48000, 1.0, {}, embedded=False)
    data = CaptureDataModule(recordings, receptive_field=R, ny=NY, batch_size=2, seed=4)
    listener = _Listener()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, log_every_n_steps=1, precision=precision,
    )  # fmt: skip
    trainer.fit(listener, datamodule=data)
    assert listener.weight.dtype == dtype
    for epoch in range(3):
        order = EpochOrder(6, batch_size=2, seed=4)
        order.set_epoch(epoch)
        expected = [[float(i * NY) for i in batch] for batch in order]
        assert listener.heard[epoch] == expected
    assert listener.heard[0] != listener.heard[1] != listener.heard[2]
