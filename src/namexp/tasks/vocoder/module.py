"""The steps of a HiFi-GAN: the discriminators', then the generator's against what they have become.

Source: Kong et al. 2020, arXiv:2010.05646; the order of the official training.
Letters: B batch, M mels, F frames, L samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from namexp.audio.mel import log_mel
from namexp.engine.module import Optimisation, TaskModule
from namexp.tasks.vocoder.adversary import Report, discriminator_losses, generator_gradient, judge
from namexp.tasks.vocoder.config.loss import HifiganLoss
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.config.trainer import VocoderTrainer
from namexp.tasks.vocoder.data.items import Batch
from namexp.tasks.vocoder.metrics import clip_metrics, long_enough
from namexp.tasks.vocoder.networks import VocoderNetwork

Found = Mapping[str, Tensor]


@dataclass(frozen=True)
class Steps:
    """What the steps go by.

    Attributes:
        loss: weights, and when the discriminators begin.
        trainer: limits of the gradients, and whether a batch may be left.
        mels: the second compares.
        segment_size: samples of what the discriminators hear, in training and of every validation clip.
    """

    loss: HifiganLoss
    trainer: VocoderTrainer
    mels: Mels
    segment_size: int


class VocoderModule(TaskModule):
    """Trains a generator and its discriminators, whose optimisers take turns."""

    network: VocoderNetwork

    def __init__(self, network: VocoderNetwork, optimisation: Optimisation, steps: Steps) -> None:
        """Put the networks to work.

        Args:
            network: what learns.
            optimisation: of both; their gradients' limits are the trainer group's.
            steps: what the steps go by.
        """
        super().__init__(network, optimisation)
        self._steps = steps

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The generator, and both kinds of discriminators."""
        gan = self.network.gan
        return {"g": list(gan.generator.parameters()), "d": gan.discriminator_parameters()}

    def optimisation_of(self, group: str) -> Optimisation:
        """The same for both but for the limits."""
        return self.optimisation._replace(gradient_clip_norm=self._steps.trainer.clip_norm(group))

    # --- training -----------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One batch of segments."""
        del batch_idx
        if self._steps.trainer.skip_oom:
            self.unless_out_of_memory(lambda: self._step(batch))
            if self.row_is_due:
                self.tell("train/oom_skipped", self.out_of_memory)
        else:
            self._step(batch)

    def _step(self, batch: Batch) -> None:
        warming_up = self._is_warming_up()
        gan, report = self.network.gan, Report()
        self.network.statistics.update(batch.mel)
        with torch.set_grad_enabled(not warming_up):
            generated = gan.generator(batch.mel)
        totals: dict[str, Tensor] = {}
        if warming_up or self._steps.loss.is_adversarial(self.updates):
            kept: list[Tensor] = []
            losses = _noted(discriminator_losses(gan, batch.audio, generated, report), kept)
            self.learn("d", losses, apart=True)  # each judge has a loss of its own
            totals["total_loss_d"] = torch.stack(kept).sum()
        if not warming_up:
            totals["total_loss_g"] = self._teach_generator(batch, generated, report)
        self.watch(*totals.values())
        if self.row_is_due:
            for name, value in {**report.values, **totals}.items():
                self.tell(f"train/{name}", value)

    def _is_warming_up(self) -> bool:
        """Whether the discriminators, new beside a generator that is not, learn alone."""
        loss = self._steps.loss
        if loss.adversarial_start_step is None or not self._new_discriminators:
            return False
        return 0 <= self.updates - loss.adversarial_start_step < loss.discriminator_warmup_steps

    @cached_property
    def _new_discriminators(self) -> bool:
        """Asked once: a GPU would be waited for in every step."""
        return bool(self.network.new_discriminators)

    def _teach_generator(self, batch: Batch, generated: Tensor, report: Report) -> Tensor:
        """The generator's step; its total loss."""
        loss = self._steps.loss
        mel = _distance(generated, batch.mel_for_loss, self._steps.mels)
        report.add("loss_mel", mel)
        surrogate = loss.mel_weight * mel
        if loss.is_adversarial(self.updates):
            gradient = generator_gradient(
                self.network.gan,
                batch.audio,
                generated,
                report,
                adversarial_weight=loss.adversarial_weight,
                feature_matching_weight=loss.feature_matching_weight,
            )
            surrogate = surrogate + (generated * gradient).sum()
        self.learn("g", surrogate)
        return _total(report.values, loss)

    # --- validation ---------------------------------------------------------------------------------

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Metrics of one whole clip, and the losses of the segment in its middle, where it is long enough."""
        generated = self.network.gan.generator(batch.mel)
        length = min(generated.shape[-1], batch.audio.shape[-1])
        generated = generated[..., :length]
        metrics = clip_metrics(generated[0, 0].float(), batch.audio[0, 0].float(), self._steps.mels)
        original = batch.audio[..., :length]
        found = {name: torch.tensor(value, dtype=torch.float64) for name, value in metrics.items()}
        heard = (_middle(x, self._steps.segment_size) for x in (original, generated))
        return found | self._judged(*(long_enough(x, self._steps.mels) for x in heard))

    def _judged(self, original: Tensor, generated: Tensor) -> dict[str, Tensor]:
        report, loss = Report(), self._steps.loss
        report.add(
            "loss_mel", _distance(generated, log_mel(original[:, 0], self._steps.mels.loss), self._steps.mels)
        )
        values = dict(report.values)
        if loss.adversarial_start_step is not None:
            judge(self.network.gan, original, generated, report)
            values = dict(report.values)
            values["total_loss_d"] = sum(
                (values[f"loss_disc_{side}"] for side in ("mpd", "msd")), torch.zeros(())
            )
        values["total_loss_g"] = _total(values, loss)
        return {f"val/{name}": value.detach().double().cpu() for name, value in values.items()}

    def validated(self, found: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The mean over clips."""
        means = {name: torch.stack([clip[name] for clip in found]).mean()[None] for name in found[0]}
        return {"val_loss": means["mel_error"], **means}


def _noted(losses: Iterator[Tensor], kept: list[Tensor]) -> Iterator[Tensor]:
    for loss in losses:
        kept.append(loss.detach())
        yield loss


def _distance(generated: Tensor, target: Tensor, mels: Mels) -> Tensor:
    """L1 of the log mels of (B, 1, L) audio and a (B, M, F) target."""
    with torch.autocast(generated.device.type, enabled=False):
        return (log_mel(generated[:, 0].to(target.dtype), mels.loss) - target).abs().mean()


def _total(parts: Mapping[str, Tensor], loss: HifiganLoss) -> Tensor:
    """The generator's loss from its parts, those of the discriminators where there are."""
    weights = {
        "loss_mel": loss.mel_weight,
        "loss_gen_mpd": loss.adversarial_weight,
        "loss_gen_msd": loss.adversarial_weight,
        "loss_fm_mpd": loss.feature_matching_weight,
        "loss_fm_msd": loss.feature_matching_weight,
    }
    return torch.stack([weights[name] * parts[name] for name in weights if name in parts]).sum()


def _middle(audio: Tensor, size: int) -> Tensor:
    start = max(0, (audio.shape[-1] - size) // 2)
    return audio[..., start : start + size]
