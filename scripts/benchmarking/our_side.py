"""namexp in a comparison: built as namexp.train and namexp.render build it."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from benchmarking.side import Handover, Side, serve_side
from namexp.audio.synth import embedded_recording
from namexp.conf_dir import conf_dir
from namexp.data.order import EpochOrder
from namexp.engine.fitting import torch_settings
from namexp.engine.module import Optimisation
from namexp.models.network import Network
from namexp.models.streaming import play
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from namexp.nam.compose import compose_container
from namexp.nam.model import NamModel
from namexp.schema.trainer import TrainerConfig
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.data.recordings import load_recordings
from namexp.tasks.capture.data.windows import Batch, WindowDataset
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network
from namexp.tasks.known import parse_experiment

MODELS = {
    "a2": ["model=packed_wavenet"],
    "a1": ["model=wavenet"],
    "pack3": ["model=packed_wavenet", "model.channels=[3,5,8]"],
    "slimmable": ["model=slimmable"],
}


_FOR_GOOD = ExitStack()  # what a process begins and ends with
atexit.register(_FOR_GOOD.close)


class OurSide(Side):
    """The network, the task and the optimiser of a run."""

    width = 0  # of the step that is being done

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """Those of every side, and the first one's."""
        return {**super().handlers(), "prepare": self.prepare}

    def prepare(self, model: str, handover: str, batches: int, seconds: float) -> None:
        """Write first weights and what to train on or to play, for both sides.

        Args:
            model: a key of MODELS.
            handover: the file to write.
            batches: the first ones of a run on the embedded recording.
            seconds: of the embedded recording, over and over, instead of batches if there are none.
        """
        config = composed(model, "cpu")
        network = build_network(config.plan, seed=config.seed)
        weights = [wavenet.export_weights().numpy() for wavenet in wavenets(network)]
        if batches:
            inputs, targets = first_batches(config, batches)
        else:
            recording = embedded_recording().input
            inputs = np.resize(recording.samples, round(seconds * recording.sample_rate))
            targets = np.empty(0, np.float32)
        Handover(weights, inputs, targets).write(handover)

    def build(self, model: str, weights: list[np.ndarray], device: torch.device) -> None:
        """As ``namexp.engine.fitting`` does; Lightning's trainer is left out."""
        config = composed(model, device.type)
        apply_settings(config.trainer)
        self._network = build_network(config.plan, seed=config.seed)
        for wavenet, own in zip(wavenets(self._network), weights, strict=True):
            wavenet.import_weights(torch.from_numpy(own))
        if isinstance(self._network, SlimmableWaveNet):
            force_widths(self._network, self)
        self._task = CaptureModule(
            self._network,
            Optimisation(
                config.optimizer,
                config.scheduler,
                gradient_clip_norm=config.trainer.gradient_clip_norm,
            ),
            loss=config.loss,
            graphed=config.trainer.graphs,
        ).to(device)
        self._optimizer = self._task.configure_optimizers()
        self._task.on_train_start()

    @property
    def num_widths(self) -> int:
        """Of the network."""
        return len(self._network.widths) if isinstance(self._network, SlimmableWaveNet) else 1

    def train_on(self, inputs: Tensor, targets: Tensor, width: int) -> Tensor:
        """The hooks of the task in the order in which Lightning calls them."""
        self.width = width
        losses: list[Tensor] = []

        def closure() -> Tensor:
            loss = self._task.training_step(Batch(inputs, targets), self._step)
            self._optimizer.zero_grad()
            loss.backward()
            self._task.on_before_optimizer_step(self._optimizer)
            losses.append(loss.detach())
            return loss

        self._task.optimizer_step(0, self._step, self._optimizer, closure)
        return losses[0]

    def play(self, samples: Tensor) -> Tensor:
        """In chunks."""
        return play(self._network.eval(), samples[None])[0]


def first_model(model: str) -> NamModel:
    """What a run would export before its first step: a container of a pack."""
    config = composed(model, "cpu")
    network = build_network(config.plan, seed=config.seed)
    if not isinstance(network, PackedWaveNet):
        return NamModel(network.eval())
    models = [NamModel(wavenet) for wavenet in wavenets(network)]
    thresholds = [(i + 1) / len(models) for i in range(len(models))]
    return compose_container(models, thresholds, user={}, training={})


def composed(model: str, device: str) -> CaptureConfig:
    """The config of a run that says no more than which model."""
    trainer = "trainer=gpu" if device == "cuda" else "trainer=cpu"
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return parse_experiment(compose("train", [*MODELS[model], trainer]))


def first_batches(config: CaptureConfig, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, B, L) and (N, B, L - R + 1): what a run on the embedded recording sees first."""
    field = config.plan.receptive_field
    recordings = load_recordings(config.data, receptive_field=field)
    windows = WindowDataset(recordings.train, receptive_field=field, ny=config.data.ny)
    order = EpochOrder(len(windows), batch_size=config.data.batch_size, seed=config.seed)
    batches = [windows.__getitems__(indices) for indices in list(order)[:count]]
    inputs, targets = zip(*batches, strict=True)
    return torch.stack(inputs).numpy(), torch.stack(targets).numpy()


def wavenets(network: Network) -> list[WaveNet]:
    """Those whose weights make up the network."""
    found = [member.whole for member in network.members or [network]]
    assert all(isinstance(part, WaveNet) for part in found)
    return found


def apply_settings(trainer: TrainerConfig) -> None:
    """What a training sets for its process, for good: this one does nothing else."""
    _FOR_GOOD.enter_context(torch_settings(trainer))
    # as Lightning does for the same setting
    torch.use_deterministic_algorithms(trainer.deterministic, warn_only=trainer.accelerator == "gpu")
    warnings.filterwarnings("ignore")  # of logging without a trainer


def force_widths(network: SlimmableWaveNet, side: OurSide) -> None:
    """Train the width that the comparison says instead of one that is drawn."""

    def draw(step: int) -> None:
        network._drawn = side.width

    network.begin_step = draw


if __name__ == "__main__":
    serve_side(OurSide())
