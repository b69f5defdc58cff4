"""Training whose steps are recorded and replayed: the same training, number for number.

A stand-in replays on the CPU; what only a GPU can show is in tests/e2e/test_gpu.py.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from namexp.architectures.packing import Submodel
from namexp.engine.callbacks.checkpoints import Checkpoints
from namexp.engine.callbacks.counting import Counting
from namexp.engine.callbacks.stopping import StopAfterSteps
from namexp.engine.module import Optimisation
from namexp.kernels import fallback
from namexp.kernels.graphed import WARM_UPS, Recorder
from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet, layer_array
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture import module as capture
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.data.windows import Batch
from namexp.tasks.capture.module import CaptureModule, _computing
from namexp.tracking.csv_logger import MetricsCsvLogger
from tests.architectures import PLAYABLE, SLIMMABLE, layers, wavenet
from tests.recorder import Tape

NY, EPOCHS = 40, 3
SIZES = (4, 4, 4, 4, 2)  # of the batches of an epoch
ALL_TERMS = LossConfig(1.0, 0.5, 0.25, 0.1, 0.5, 0.85, 0.1, 0.85, "mse")
WAVEFORM = LossConfig(1.0, 0.5, 0.25, 0.0, 0.5, 0.85, 0.0, 0.85, "mse")


@pytest.fixture(autouse=True)
def _torchs_own_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: what a kernel in C++ does is not on the tape."""
    monkeypatch.setattr(layer_array, "layer_arrays", lambda arrays: None)


def _network(kind: str) -> Network:
    torch.manual_seed(3)
    if kind == "packed":
        specs = (wavenet(layers(channels=2)), wavenet(layers(channels=5)))
        return PackedWaveNet([Submodel(f"s{i}", spec) for i, spec in enumerate(specs)])
    if kind == "ordinary":
        return WaveNet(wavenet(layers(activation={"type": "PReLU", "negative_slope": 0.1})))
    boosting, sampling = kind.split("_")
    return SlimmableWaveNet(SLIMMABLE, boosting=boosting == "boosted", size_sampling=sampling, seed=0)


KINDS = ("packed", "ordinary", "boosted_uniform", "slimmable_all")


class _Data(pl.LightningDataModule):
    """Batches of two shapes, and one recording to validate on."""

    def __init__(self, receptive_field: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self._batches = [self._batch(size, NY, receptive_field, generator) for size in SIZES]
        self._recording = self._batch(1, 200, receptive_field, generator)

    @staticmethod
    def _batch(size: int, ny: int, receptive_field: int, generator: torch.Generator) -> Batch:
        x = 0.3 * torch.randn(size, ny + receptive_field - 1, generator=generator)
        return Batch(x, torch.tanh(3 * x[:, receptive_field - 1 :]))

    def train_dataloader(self) -> Any:
        return DataLoader(self._batches, batch_size=None)

    def val_dataloader(self) -> Any:
        return DataLoader([self._recording], batch_size=None)


def _train(
    kind: str,
    folder: Path,
    recorder: Recorder | None,
    monkeypatch: pytest.MonkeyPatch,
    *,
    clip: float | None = None,
    optimizer: str = "Adam",
    interval: str = "step",
    epochs: int = EPOCHS,
    resume: Path | None = None,
) -> dict[str, Tensor]:
    """Train, with metrics.csv and last.ckpt in ``folder``; the weights."""
    monkeypatch.setattr(capture, "recorder_on", lambda parameters: recorder)
    network = _network(kind)
    task = CaptureModule(
        network,
        Optimisation(
            OptimizerConfig(optimizer, 0.01, 0.001, {}),
            SchedulerConfig("ExponentialLR", {"gamma": 0.9}, interval, "val_loss"),
            gradient_clip_norm=clip,
        ),
        loss=WAVEFORM,
        graphed=recorder is not None,
    )
    assert network.receptive_field is not None
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=MetricsCsvLogger(folder / "metrics.csv"),
        callbacks=[Counting(), Checkpoints(RunLayout(folder))],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, log_every_n_steps=2,
    )  # fmt: skip
    trainer.fit(task, datamodule=_Data(network.receptive_field), ckpt_path=resume, weights_only=True)
    assert task._graphed_loss is None  # its memory is given back
    return {name: value.clone() for name, value in network.state_dict().items()}


def _assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"clip": 0.05}, {"optimizer": "SGD", "interval": "epoch"}],
    ids=["plain", "clipped", "SGD"],
)
def test_a_replayed_training_is_the_ordinary_one(
    kind: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Tape()
    ordinary = _train(kind, tmp_path / "ordinary", None, monkeypatch, **settings)
    replayed = _train(kind, tmp_path / "replayed", recorder, monkeypatch, **settings)
    _assert_equal(replayed, ordinary)
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("ordinary", "replayed")]
    assert rows[0] == rows[1]
    assert rows[0].count("\n") > 2 * EPOCHS
    assert recorder.warm_ups + recorder.replays == EPOCHS * len(SIZES)
    assert recorder.replays > 0
    assert any(not torch.equal(value, _network(kind).state_dict()[name]) for name, value in replayed.items())


def test_a_graph_is_made_once_for_every_shape_and_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, slimmable = Tape(), Tape()
    _train("packed", tmp_path / "packed", packed, monkeypatch, epochs=6)
    assert packed.recordings == 2  # the last batch of an epoch has a shape of its own
    assert packed.warm_ups == 2 * WARM_UPS
    _train("boosted_uniform", tmp_path / "slimmable", slimmable, monkeypatch, epochs=12)
    assert 3 <= slimmable.recordings <= 6  # widths by shapes


@pytest.mark.parametrize("kind", ["packed", "boosted_uniform"])
def test_a_replayed_training_goes_on_as_if_it_had_not_been_stopped(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _train(kind, tmp_path / "whole", None, monkeypatch, epochs=4)
    _train(kind, tmp_path / "half", Tape(), monkeypatch, epochs=2)
    resumed = Tape()
    checkpoint = RunLayout(tmp_path / "half").last_checkpoint
    _assert_equal(_train(kind, tmp_path / "half", resumed, monkeypatch, epochs=4, resume=checkpoint), whole)
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "half")]
    assert rows[0] == rows[1]
    assert resumed.warm_ups + resumed.replays == 2 * len(SIZES)
    assert resumed.replays > 0


def test_a_training_that_cannot_be_recorded_is_the_ordinary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NAMEXP_KERNELS", raising=False)  # or nothing is said
    fallback._tell.cache_clear()
    recorder = Tape()
    of_losses = capture.CaptureLoss.values

    def waiting(self: Any, prediction: Tensor, target: Tensor) -> Tensor:
        assert prediction.abs().sum().item() > 0
        return of_losses(self, prediction, target)

    monkeypatch.setattr(capture.CaptureLoss, "values", waiting)
    ordinary = _train("packed", tmp_path / "ordinary", None, monkeypatch)
    with caplog.at_level(logging.WARNING):
        _assert_equal(_train("packed", tmp_path / "unable", recorder, monkeypatch), ordinary)
    assert recorder.recordings == 1
    assert [m for m in caplog.messages if "CUDA graph" in m] == [
        "notice: the training step runs on torch's own operations, which is several times slower: "
        "no CUDA graph can be made of it (operation not permitted when stream is capturing)"
    ]


def test_nothing_is_recorded_where_it_was_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "recorder_on", lambda parameters: Tape())
    task = CaptureModule(
        _network("packed"),
        Optimisation(OptimizerConfig("Adam", 0.01, 0.0, {}), SchedulerConfig(None, {}, "epoch", "val_loss")),
        loss=WAVEFORM,
    )
    task.on_train_start()
    assert task._graphed_loss is None


# --- variants -------------------------------------------------------------------------------------


def test_the_variant_is_the_width_that_is_computed() -> None:
    net = _network("boosted_uniform").train()
    shapes: dict[Any, set[tuple[int, ...]]] = {}
    x = torch.randn(1, 150)
    for step in range(20):
        net.begin_step(step)
        net(x).sum().backward()
        used = {name: tuple(p.grad.nonzero().amax(dim=0).tolist()) for name, p in net.named_parameters()
                if p.grad is not None and p.grad.any()}  # fmt: skip
        shapes.setdefault(net.variant, set()).add(tuple(sorted(used.items())))
        net.zero_grad()
    assert set(shapes) == {0, 1, 2}
    assert all(len(seen) == 1 for seen in shapes.values())  # the same operations wherever it is equal
    assert len(set.union(*shapes.values())) == 3
    assert net.eval().variant == 0
    assert _network("slimmable_all").train().variant == 0
    assert _network("packed").variant == 0


# --- what a capture allows ------------------------------------------------------------------------


class _OnOneDevice(TorchDispatchMode):
    """Notes every operation that touches another device than ``meta``."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.elsewhere = 0, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in torch.utils._pytree.tree_leaves((args, kwargs, result)) if torch.is_tensor(t)]
        self.operations += 1
        if any(t.device.type != "meta" for t in tensors):
            self.elsewhere.append(str(func))
        return result


ARCHITECTURES = [
    *(pytest.param(lambda kind=kind: _network(kind), id=kind) for kind in KINDS),
    *(pytest.param(lambda spec=spec: WaveNet(spec), id=name) for name, spec in PLAYABLE.items()),
]


class _FromPython(TorchFunctionMode):
    """Notes every tensor made of Python's numbers: torch makes it on the CPU and copies it."""

    MAKERS = (torch.tensor, torch.as_tensor, torch.from_numpy, torch.Tensor.new_tensor)

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.made += func in self.MAKERS
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("build", ARCHITECTURES)
def test_a_step_neither_waits_for_its_device_nor_brings_anything_there(build: Any) -> None:
    """Tensors without content stand for those of a GPU: whoever asks for their values fails.

    The first time constants are brought to the device, as in a warm-up.
    """
    network = build().train()
    R = network.receptive_field
    network.to("meta")
    if isinstance(network, SlimmableWaveNet):
        network.begin_step(0)
    loss = capture.CaptureLoss(ALL_TERMS)
    compute = _computing(network, loss)
    x = torch.empty(2, 1200 + R - 1, device="meta")
    target = torch.empty(2, 1200, device="meta")

    def step() -> None:
        leaves = {n: p.detach().requires_grad_() for n, p in network.named_parameters()}
        total, values = compute(leaves, x, target)
        assert values.shape[1] == 6
        torch.autograd.grad(total, list(leaves.values()), allow_unused=True)

    step()
    with _OnOneDevice() as seen, _FromPython() as brought:
        step()
    assert seen.elsewhere == []
    assert brought.made == 0
    assert seen.operations > 100


def test_the_watch_sees_what_a_capture_would_refuse() -> None:
    x = torch.empty(3, device="meta")
    with _OnOneDevice() as seen, _FromPython() as brought:
        x.new_tensor([1.0, 2.0])
        x * torch.tensor(2.0)
        with pytest.raises(RuntimeError, match="meta"):
            x.sum().item()
    assert "aten.mul.Tensor" in seen.elsewhere
    assert brought.made == 2


# --- rows -----------------------------------------------------------------------------------------


def test_a_row_has_the_values_of_its_own_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a row tells is computed; a training that tells every step has the same rows."""
    rows: dict[int, list[dict[str, str]]] = {}
    for every in (1, 3):
        network = _network("packed")
        assert network.receptive_field is not None
        task = CaptureModule(
            network,
            Optimisation(
                OptimizerConfig("Adam", 0.01, 0.0, {}),
                SchedulerConfig("ExponentialLR", {"gamma": 0.9}, "step", "val_loss"),
                gradient_clip_norm=0.05,
            ),
            loss=WAVEFORM,
        )
        logger = MetricsCsvLogger(tmp_path / f"{every}.csv")
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=4, logger=logger,
            callbacks=[Counting(), StopAfterSteps(13)], enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            use_distributed_sampler=False, log_every_n_steps=every,
        )  # fmt: skip
        trainer.fit(task, datamodule=_Data(network.receptive_field))
        rows[every] = read_metrics(tmp_path / f"{every}.csv")
    steps = {every: [r for r in found if r["train/loss"]] for every, found in rows.items()}
    assert [int(r["step"]) for r in steps[1]] == list(range(13))
    assert [int(r["step"]) for r in steps[3]] == [2, 5, 8, 11, 12]  # the last one too
    assert steps[3] == [r for r in steps[1] if int(r["step"]) in (2, 5, 8, 11, 12)]
    assert [r for r in rows[3] if r["val_loss"]] == [r for r in rows[1] if r["val_loss"]]
    assert len({r["train/loss"] for r in steps[3]}) == 5
    np.testing.assert_allclose(
        [float(r["train/lr"]) for r in steps[3]], [0.01 * 0.9**s for s in (2, 5, 8, 11, 12)], rtol=1e-6
    )
