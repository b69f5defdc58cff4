"""How a vocoder sounds while it learns: two clips that stay the same, and one drawn at random each time.

Letters: L samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from namexp.audio.mel import log_mel
from namexp.audio.wav import write_flac
from namexp.engine.callbacks.counting import is_nth_validation
from namexp.schema.callbacks import CallbacksConfig
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.module import VocoderModule
from namexp.tasks.vocoder.showing.mels import draw_mels
from namexp.tracking.tracker import Clip, Tracker

FIXED = 2  # the first clips of the validation part


class Heard(NamedTuple):
    """One clip, generated and original: (L,) each."""

    name: str
    place: int
    generated: Tensor
    original: Tensor


class Preview(pl.Callback):
    """Every few validations plays clips, into the run directory and to the tracker.

    The generator draws no random numbers, and which clip is drawn follows from seed and epoch: listening
    changes no training, and a continued one goes on with the same clips.
    """

    def __init__(
        self,
        layout: VocoderLayout,
        tracker: Tracker,
        data: SpeechDataModule,
        mels: Mels,
        wanted: CallbacksConfig,
        *,
        seed: int,
        seconds: float,
        every_n_validations: int,
    ) -> None:
        """Listen.

        Args:
            layout: where files go.
            tracker: who else is told.
            data: whose validation clips are played.
            mels: the second is drawn.
            wanted: whether files of sound and pictures are.
            seed: of the clips that are drawn.
            seconds: of each clip, from its beginning.
            every_n_validations: how often.
        """
        self._layout, self._tracker, self._data = layout, tracker, data
        self._mels, self._wanted = mels, wanted
        self._seed, self._seconds, self._every = seed, seconds, every_n_validations

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Play, if this validation is one that is heard."""
        if not is_nth_validation(trainer, self._every):
            return
        assert isinstance(pl_module, VocoderModule)
        for heard, key in self._played(pl_module, trainer.current_epoch):
            self._show(heard, key, trainer.current_epoch + 1, pl_module.updates)

    def _played(self, module: VocoderModule, epoch: int) -> list[tuple[Heard, str]]:
        data = self._data
        names = data.validation_names
        chosen = list(range(min(FIXED, len(names))))
        drawn = int(np.random.default_rng([self._seed, epoch]).integers(len(names)))
        keys = [f"clip_{i}" for i in chosen] + ["drawn"]
        return [
            (play(module, data, index, names[index], self._seconds), key)
            for index, key in zip([*chosen, drawn], keys, strict=True)
        ]

    def _show(self, heard: Heard, key: str, epoch: int, step: int) -> None:
        rate, folder = self._mels.input.sample_rate, self._layout.root / "previews"
        if self._wanted.audio:
            write_flac(folder / f"{key}_{epoch:05d}.flac", _audible(heard.generated), rate, bits=16)
        clips = {
            f"audio/{key}": Clip(heard.generated.numpy(), rate, f"{heard.name}, generated"),
            f"audio/{key}_target": Clip(heard.original.numpy(), rate, heard.name),
        }
        self._tracker.audio(clips, step)
        if self._wanted.plots:
            path = folder / f"{key}_{epoch:05d}.png"
            picture(path, heard, self._mels, f"{heard.name}, epoch {epoch}")
            self._tracker.pictures({f"pictures/{key}": path}, step)


def _audible(samples: Tensor) -> np.ndarray:
    found: np.ndarray = torch.nan_to_num(samples).clamp(-1.0, 1.0).numpy()
    return found


@torch.no_grad()
def play(module: VocoderModule, data: SpeechDataModule, index: int, name: str, seconds: float) -> Heard:
    """A clip by the generator as it is, in full precision."""
    mel, audio = data.validation_clip(index)
    frames = max(1, int(seconds * data.mels.input.sample_rate / data.mels.input.hop_length))
    generator = module.network.gan.generator
    parameter = next(generator.parameters())
    with torch.autocast(parameter.device.type, enabled=False):
        generated = generator(mel[..., :frames].to(parameter.device, parameter.dtype))[0, 0].float().cpu()
    length = min(generated.numel(), audio.shape[-1])
    return Heard(name, index, generated[:length], audio[0, 0, :length].float().cpu())


def picture(path: Path, heard: Heard, mels: Mels, title: str) -> None:
    """Both mels of a clip and their difference; nothing of a clip too short for one."""
    if heard.original.numel() < mels.loss.least_samples:
        return
    pair = log_mel(torch.stack([heard.original, torch.nan_to_num(heard.generated)]), mels.loss)
    draw_mels(
        path,
        target=pair[0].numpy(),
        generated=pair[1].numpy(),
        seconds=heard.original.numel() / mels.input.sample_rate,
        title=title,
    )


def reference_clips(data: SpeechDataModule, names: Sequence[str]) -> dict[str, Clip]:
    """The originals of the clips that stay the same."""
    found = {}
    for index in range(min(FIXED, len(names))):
        audio = data.validation_clip(index)[1]
        found[f"audio/clip_{index}_target"] = Clip(
            audio[0, 0].float().numpy(), data.mels.input.sample_rate, names[index]
        )
    return found
