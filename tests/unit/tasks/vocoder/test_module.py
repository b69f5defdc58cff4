"""Steps of a vocoder as Lightning makes them: who is left out, what is counted, what a validation leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor
from torch.utils.data import DataLoader

from namexp.conf_dir import conf_dir
from namexp.engine.callbacks.counting import Counting
from namexp.engine.module import Optimisation
from namexp.errors import UserError
from namexp.runs.metrics import read_metrics
from namexp.tasks.known import parse_experiment
from namexp.tasks.vocoder.data.items import Batch, Cuts, Mels, with_mels
from namexp.tasks.vocoder.module import Steps, VocoderModule
from namexp.tasks.vocoder.networks import build_network
from namexp.tracking.csv_logger import MetricsCsvLogger

TINY = ("model=hifigan_tiny", "model.upsample_initial_channel=8", "model.discriminator_width=128")


def _module(*overrides: str) -> VocoderModule:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        config: Any = parse_experiment(compose("train", [*TINY, *overrides]))
    steps = Steps(config.loss, config.trainer, config.model.mels, 1024)
    return VocoderModule(build_network(config.model, seed=0), Optimisation.of(config), steps)


def _batches(count: int, samples: int = 1024) -> list[Batch]:
    mels = _module().network.model.mels
    found = []
    for i in range(count):
        audio = 0.1 * torch.randn(2, 1, samples, generator=torch.Generator().manual_seed(i))
        lengths = torch.full((2,), samples)
        found.append(with_mels(Cuts(audio, lengths, None, None, ["", ""]), Mels(mels.input, mels.loss)))
    return found


def _fit(module: VocoderModule, folder: Path, batches: list[Batch]) -> list[dict[str, str]]:
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=MetricsCsvLogger(folder / "metrics.csv"),
        callbacks=[Counting()], enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=1,
    )  # fmt: skip
    one = [batch._replace(**{k: v[:1] for k, v in batch._asdict().items()}) for batch in _batches(1, 3000)]
    trainer.fit(module, DataLoader(batches, batch_size=None), DataLoader(one, batch_size=None))
    return read_metrics(folder / "metrics.csv")


def _state(module: VocoderModule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.network.state_dict().items()}


def test_a_batch_that_does_not_fit_is_left_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = _module("trainer.skip_oom=true")
    forward, calls = module.network.gan.generator.forward, [0]

    def sometimes(mel: Tensor) -> Tensor:
        calls[0] += 1
        if calls[0] == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(mel)

    monkeypatch.setattr(module.network.gan.generator, "forward", sometimes)
    rows = _fit(module, tmp_path, _batches(4))
    assert module.updates == 3
    assert module.out_of_memory == 1
    steps = [row for row in rows if not row["val_loss"]]
    assert [row["train/oom_skipped"] for row in steps][2:] == ["1.0", "1.0"]
    assert all(bool(torch.isfinite(p).all()) for p in module.parameters())


def test_without_the_setting_it_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = _module()

    def never(mel: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module.network.gan.generator, "forward", never)
    with pytest.raises(torch.OutOfMemoryError):
        _fit(module, tmp_path, _batches(1))


def test_each_network_has_a_limit_of_its_own(tmp_path: Path) -> None:
    module = _module("trainer.gradient_clip_norm=3", "trainer.gradient_clip_norm_d=0.5")
    limits = [module.optimisation_of(group).gradient_clip_norm for group in ("g", "d")]
    assert limits == [3, 0.5]
    seen: list[float] = []
    original = torch.nn.utils.clip_grad_norm_

    def watch(parameters: Any, norm: float) -> Tensor:
        found = original(parameters, norm)
        seen.append(float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", watch)
        rows = _fit(module, tmp_path, _batches(2))
    assert [value for value in seen[::2] if value > 0.5001] == []
    assert max(seen[1::2]) == pytest.approx(3.0, rel=1e-3)
    steps = [row for row in rows if not row["val_loss"]]
    assert all(float(row["train/grad_norm_g"]) > 3.0 for row in steps), "told before they are limited"


def test_a_validation_changes_nothing(tmp_path: Path) -> None:
    module = _module()
    _fit(module, tmp_path, _batches(1))
    before = _state(module)
    module.eval()
    with torch.no_grad():
        found = [module.validate(batch) for batch in _batches(2, 3000)]
    assert module.validated(found)["val_loss"].shape == (1,)
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())


def test_the_statistics_are_of_the_mels_that_went_in(tmp_path: Path) -> None:
    module, batches = _module(), _batches(3)
    _fit(module, tmp_path, batches)
    statistics = module.network.statistics.to_plain()
    assert statistics is not None
    mels = torch.cat([batch.mel for batch in batches])
    assert statistics["frames"] == mels.shape[0] * mels.shape[2]
    assert statistics["mean"] == pytest.approx(mels.mean(dim=(0, 2)).tolist(), abs=1e-3)


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    module, batches = _module(), _batches(2)
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.touch()
    module.last_checkpoint = checkpoint
    batches[1].audio[0, 0, 5] = float("nan")
    with pytest.raises(UserError, match=r"batch 2: the loss is not finite .*last\.ckpt"):
        _fit(module, tmp_path, batches)
