"""Training steps of namexp's HiFi-GAN in a process of its own, by Lightning as in a run; one line of JSON."""

from __future__ import annotations

import argparse
import json
import logging
import resource
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from namexp.conf_dir import conf_dir
from namexp.engine.callbacks.counting import Counting
from namexp.engine.module import Optimisation
from namexp.tasks.known import named_model
from namexp.tasks.vocoder.data.items import Batch, Cuts, Mels, with_mels
from namexp.tasks.vocoder.module import Steps, VocoderModule
from namexp.tasks.vocoder.networks import build_network
from namexp.tracking.csv_logger import MetricsCsvLogger


class _Clock(pl.Callback):
    """CPU seconds of every step, and its losses."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.losses: list[list[float]] = []
        self._begun = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        self._begun = time.process_time()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        self.cpu.append(time.process_time() - self._begun)
        told = trainer.callback_metrics
        self.losses.append([float(told["train/total_loss_d"]), float(told["train/total_loss_g"])])


def _batches(segments: Path, mels: Mels) -> list[Batch]:
    """With their mels, which the official side does not count either."""
    found = []
    for audio in torch.from_numpy(np.load(segments)):
        lengths = torch.full((len(audio),), audio.shape[1])
        found.append(with_mels(Cuts(audio[:, None], lengths, None, None, [""] * len(audio)), mels))
    return found


def main() -> None:
    """The command that the benchmark runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--segments", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    config = named_model(f"hifigan_{given.model}", conf_dir())
    mels = Mels(config.model.mels.input, config.model.mels.loss)
    steps = Steps(config.loss, config.trainer, config.model.mels, config.data.segment_size, Path("last.ckpt"))
    network = build_network(config.model, seed=given.seed)
    module, clock = VocoderModule(network, Optimisation.of(config), steps), _Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=1, logger=MetricsCsvLogger(Path(folder) / "metrics.csv"),
            callbacks=[Counting(), clock], enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, log_every_n_steps=1, limit_val_batches=0,
        )  # fmt: skip
        trainer.fit(module, DataLoader(_batches(given.segments, mels), batch_size=None))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu_s": clock.cpu, "losses": clock.losses, "max_rss": rss}))


if __name__ == "__main__":
    main()
