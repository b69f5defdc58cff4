"""How a vocoder sounds while it learns: clips that stay the same, and perhaps one drawn at random each time.

Letters: L samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from namexp.audio.mel import log_mel
from namexp.audio.wav import write_flac
from namexp.engine.callbacks.counting import is_nth_validation
from namexp.engine.module import TaskModule
from namexp.schema.callbacks import CallbacksConfig
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.module import VocoderModule
from namexp.tasks.vocoder.showing.mels import draw_mels
from namexp.tasks.vocoder.speaking import Speaking
from namexp.tracking.tracker import Clip, Tracker


class Heard(NamedTuple):
    """One clip, generated and original: (L,) each."""

    name: str
    place: int
    generated: Tensor
    original: Tensor


# Of the module as it is now, and of a validation clip by its place: what it sounds like.
Playing = Callable[[TaskModule, int], Heard]


class Chosen(NamedTuple):
    """Which validation clips are heard.

    Attributes:
        fixed: the first ones, the same each time.
        drawn: whether another one is drawn each time.
    """

    fixed: int
    drawn: bool


USUAL = Chosen(fixed=2, drawn=True)


class Preview(pl.Callback):
    """Every few validations plays clips, into the run directory and to the tracker.

    Playing takes no number from the training's random state, and which clip is drawn follows from seed and
    epoch: listening changes no training, and a continued one goes on with the same clips.
    """

    def __init__(
        self,
        layout: VocoderLayout,
        tracker: Tracker,
        num_clips: int,
        playing: Playing,
        mels: Mels,
        wanted: CallbacksConfig,
        *,
        seed: int,
        every_n_validations: int,
        chosen: Chosen = USUAL,
    ) -> None:
        """Listen.

        Args:
            layout: where files go.
            tracker: who else is told.
            num_clips: of the validation.
            playing: plays one of them.
            mels: the second is drawn.
            wanted: whether files of sound and pictures are.
            seed: of the clips that are drawn.
            every_n_validations: how often.
            chosen: which of them.
        """
        self._layout, self._tracker, self._num_clips, self._play = layout, tracker, num_clips, playing
        self._mels, self._wanted, self._chosen = mels, wanted, chosen
        self._seed, self._every = seed, every_n_validations

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Play, if this validation is one that is heard."""
        if not is_nth_validation(trainer, self._every):
            return
        assert isinstance(pl_module, TaskModule)
        epoch = trainer.current_epoch
        for key, place in self._places(epoch).items():
            self._show(self._play(pl_module, place), key, epoch + 1, pl_module.updates)

    def _places(self, epoch: int) -> dict[str, int]:
        """Of the clips, by the names of their files."""
        found = {f"clip_{i}": i for i in range(min(self._chosen.fixed, self._num_clips))}
        if self._chosen.drawn:
            found["drawn"] = int(np.random.default_rng([self._seed, epoch]).integers(self._num_clips))
        return found

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


def previews(
    training: Speaking, data: SpeechDataModule, playing: Playing, chosen: Chosen = USUAL
) -> list[pl.Callback]:
    """The callback that plays, if anybody wants to listen.

    Args:
        training: of a vocoder, whatever it is.
        data: whose validation clips are played.
        playing: plays one of them.
        chosen: which of them.
    """
    config = training.config
    every, wanted = config.logger.audio_every_n_validations, config.callbacks
    if every is None or not (wanted.audio or wanted.plots or training.tracker.active):
        return []
    preview = Preview(
        VocoderLayout(training.layout.root),
        training.tracker,
        len(data.validation_names),
        playing,
        config.model.mels,
        wanted,
        seed=config.seed,
        every_n_validations=every,
        chosen=chosen,
    )
    return [preview]


def _audible(samples: Tensor) -> np.ndarray:
    found: np.ndarray = torch.nan_to_num(samples).clamp(-1.0, 1.0).numpy()
    return found


@torch.no_grad()
def play(module: TaskModule, index: int, *, data: SpeechDataModule, seconds: float) -> Heard:
    """A clip by the generator as it is, in full precision."""
    assert isinstance(module, VocoderModule)
    mel, audio = data.validation_clip(index)
    frames = max(1, int(seconds * data.mels.input.sample_rate / data.mels.input.hop_length))
    generator = module.network.gan.generator
    parameter = next(generator.parameters())
    with torch.autocast(parameter.device.type, enabled=False):
        generated = generator(mel[..., :frames].to(parameter.device, parameter.dtype))[0, 0].float().cpu()
    length = min(generated.numel(), audio.shape[-1])
    return Heard(data.validation_names[index], index, generated[:length], audio[0, 0, :length].float().cpu())


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


def reference_clips(data: SpeechDataModule, names: Sequence[str], chosen: Chosen = USUAL) -> dict[str, Clip]:
    """The originals of the clips that stay the same."""
    found = {}
    for index in range(min(chosen.fixed, len(names))):
        audio = data.validation_clip(index)[1]
        found[f"audio/clip_{index}_target"] = Clip(
            audio[0, 0].float().numpy(), data.mels.input.sample_rate, names[index]
        )
    return found
