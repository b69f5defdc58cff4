"""What only a GPU can show of replayed steps: that they are recorded, equal, and wait for nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from namexp.engine.callbacks.counting import Counting
from namexp.engine.module import Optimisation
from namexp.kernels.graphed import WARM_UPS, CudaGraphs, GraphedLoss, recorder_on
from namexp.losses.spectral import Mrstft
from namexp.runs.metrics import read_metrics
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.data.module import CaptureDataModule
from namexp.tasks.capture.data.recordings import Part, Recordings
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network
from namexp.tracking.csv_logger import MetricsCsvLogger

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]

STEPS = 20
SLOWLY = (
    "optimizer.lr=0.0005"  # trajectories stay together: at the recipe's rate rounding grows tenfold a step
)
A2 = ("model=packed_wavenet", SLOWLY)
BOOSTED = ("model=slimmable", "model.channels=[2,4,8]", "model.boosting=true", SLOWLY)
CLIPPED = (*A2, "trainer.gradient_clip_norm=0.01")


class _Watch(pl.Callback):
    """Times steps and, between rows, lets nothing wait for the GPU."""

    FIRST = 8  # later than every warm-up and capture of a pack

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self.num_graphs = 0
        self.seconds = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        del trainer, batch
        if batch_idx == self.FIRST:
            torch.cuda.synchronize()
            self.seconds = -time.perf_counter()
            if self._strict:
                torch.cuda.set_sync_debug_mode("error")
        if batch_idx == STEPS - 1:  # whose row is written
            torch.cuda.set_sync_debug_mode("default")
            torch.cuda.synchronize()
            self.seconds += time.perf_counter()
            graphed = pl_module._graphed_loss
            self.num_graphs = 0 if graphed is None else graphed.num_graphs

    def on_exception(self, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


class _Trained(NamedTuple):
    before: Tensor
    after: Tensor
    losses: list[float]
    num_graphs: int
    milliseconds: float


def _train(
    config: CaptureConfig, folder: Path, *, graphed: bool, every: int = 1, strict: bool = False
) -> _Trained:
    """20 steps and a validation on synthetic audio, as ``fitting`` would do them."""
    R, ny, batch_size = config.plan.receptive_field, config.data.ny, config.data.batch_size
    x = (0.3 * np.random.RandomState(0).standard_normal(STEPS * batch_size * ny + R)).astype(np.float32)
    y = np.tanh(3 * x)
    recordings = Recordings((Part(x, y),), (Part(x[:40000], y[:40000]),), 48000, 1.0, {}, embedded=False)
    network = build_network(config.plan, seed=0)
    before = _flat(network)
    task = CaptureModule(
        network,
        Optimisation(
            config.optimizer, config.scheduler, gradient_clip_norm=config.trainer.gradient_clip_norm
        ),
        loss=config.loss,
        graphed=graphed,
    )
    watch = _Watch(strict=strict)
    trainer = pl.Trainer(
        accelerator="gpu", devices=1, max_epochs=1, limit_train_batches=STEPS,
        logger=MetricsCsvLogger(folder / "metrics.csv"), log_every_n_steps=every,
        callbacks=[Counting(), watch], enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
    )  # fmt: skip
    data = CaptureDataModule(recordings, receptive_field=R, ny=ny, batch_size=batch_size, seed=0)
    trainer.fit(task, datamodule=data)
    rows = [row for row in read_metrics(folder / "metrics.csv") if row.get("train/loss")]
    return _Trained(
        before, _flat(network), [float(row["train/loss"]) for row in rows], watch.num_graphs,
        1e3 * watch.seconds / (STEPS - 1 - watch.FIRST),
    )  # fmt: skip


def _flat(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().cpu().flatten() for p in network.parameters()])


@pytest.fixture(autouse=True)
def _full_precision() -> Any:
    """As in a training at precision "32"."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = allowed


@pytest.mark.parametrize("settings", [A2, BOOSTED, CLIPPED], ids=["A2", "boosted", "clipped"])
def test_replayed_steps_are_the_ordinary_ones_within_rounding(
    settings: tuple[str, ...],
    experiment_config: Callable[..., CaptureConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = experiment_config(*settings)
    ordinary = _train(config, tmp_path / "ordinary", graphed=False)
    replayed = _train(config, tmp_path / "replayed", graphed=True)
    assert ordinary.num_graphs == 0
    assert replayed.num_graphs >= 1
    assert len(replayed.losses) == STEPS
    np.testing.assert_allclose(replayed.losses, ordinary.losses, rtol=1e-3)
    # sums by atomic additions differ from run to run
    way = (ordinary.after - ordinary.before).norm()
    assert (replayed.after - ordinary.after).norm() < 0.01 * way
    with capsys.disabled():
        sys.stdout.write(
            f"\n{settings}: {ordinary.milliseconds:.2f} ms a step, {replayed.milliseconds:.2f} replayed\n"
        )


def test_between_rows_no_step_waits_for_the_gpu(
    experiment_config: Callable[..., CaptureConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = experiment_config(*CLIPPED)
    done = _train(config, tmp_path, graphed=True, every=STEPS, strict=True)
    assert done.num_graphs == 1
    assert not torch.equal(done.before, done.after)
    with capsys.disabled():
        sys.stdout.write(f"\nwithout rows: {done.milliseconds:.2f} ms a step\n")


class _Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3))
        self.idle = nn.Parameter(torch.randn(2))
        self.waits = False

    def compute(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        values = ((x @ parameters["weight"] - y) ** 2).mean(dim=0)[:, None]
        if self.waits:
            values.sum().item()
        return values.sum(), values


def test_a_graph_of_the_gpu_reads_what_it_is_given_each_time() -> None:
    net = _Small().cuda()
    graphed = GraphedLoss(net.compute, dict(net.named_parameters()), CudaGraphs(torch.device("cuda", 0)))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1, fused=True)
    for step in range(WARM_UPS + 5):
        x, y = torch.randn(4, 5, device="cuda"), torch.randn(4, 1, device="cuda")
        expected, values = net.compute(dict(net.named_parameters()), x, y)
        (gradient,) = torch.autograd.grad(expected, net.weight)
        known = graphed(x, y)
        assert known is not None
        optimizer.zero_grad()
        known[0].backward()
        torch.testing.assert_close(known[0], expected)
        torch.testing.assert_close(known[1], values)
        torch.testing.assert_close(net.weight.grad, gradient)
        assert net.idle.grad is None
        assert graphed.num_graphs == (step >= WARM_UPS)
        optimizer.step()


def test_a_capture_that_fails_leaves_everything_as_it_was() -> None:
    net = _Small().cuda()
    net.waits = True
    recorder = recorder_on(net.parameters())
    assert isinstance(recorder, CudaGraphs)
    graphed = GraphedLoss(net.compute, dict(net.named_parameters()), recorder)
    x, y = torch.randn(4, 5, device="cuda"), torch.randn(4, 1, device="cuda")
    before, stream = net.weight.detach().clone(), torch.cuda.current_stream()
    torch.cuda.manual_seed(7)
    expected = torch.rand(4, device="cuda")
    torch.cuda.manual_seed(7)
    for step in range(WARM_UPS + 2):
        assert (graphed(x, y) is None) is (step >= WARM_UPS)
    assert torch.equal(torch.rand(4, device="cuda"), expected)
    assert torch.cuda.current_stream() == stream
    assert not torch.cuda.is_current_stream_capturing()
    assert torch.equal(net.weight, before)
    net.compute(dict(net.named_parameters()), x, y)[0].backward()  # the device goes on
    assert torch.isfinite(net.weight.grad).all()


def test_the_spectral_loss_of_the_gpu_is_that_of_the_cpu() -> None:
    target = torch.randn(4, 8192)
    prediction = target + 0.1 * torch.randn(4, 8192)
    results = []
    for device in ("cpu", "cuda"):
        own = prediction.to(device).requires_grad_()
        loss = Mrstft()(own, target.to(device))
        (gradient,) = torch.autograd.grad(loss, own)
        results.append((loss.detach().cpu(), gradient.cpu()))
    (expected, expected_gradient), (loss, gradient) = results
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0.0)
    assert (gradient - expected_gradient).norm() < 1e-3 * expected_gradient.norm()
