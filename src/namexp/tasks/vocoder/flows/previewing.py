"""How a flow sounds while it learns: one clip that stays the same, from the same noise each time.

Letters: L samples.
"""

from __future__ import annotations

from namexp.engine.module import TaskModule
from namexp.models.waveflow import WaveFlow
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.flows.playing import playable_samples, synthesised
from namexp.tasks.vocoder.showing.preview import Chosen, Heard

TEMPERATURE = 0.8  # of the noise: a young flow is loud at 1
HEARD = Chosen(fixed=1, drawn=False)  # a flow takes its time


def play(module: TaskModule, index: int, *, data: SpeechDataModule, seconds: float) -> Heard:
    """A clip by the flow as it is, (L,) samples, by the CPU and in single precision."""
    network = module.network
    assert isinstance(network, WaveFlow)
    played = network.as_played().cpu().float()
    mel, audio = data.validation_clip(index)
    spec = data.mels.input
    frames = min(mel.shape[-1], max(2, int(seconds * spec.sample_rate / spec.hop_length)))
    samples = playable_samples(played, frames)
    generated = synthesised(played, mel[0, :, :frames].float(), samples, temperature=TEMPERATURE, seed=0)
    name = f"{data.validation_names[index]}, temperature {TEMPERATURE:g}"
    length = min(samples, audio.shape[-1])
    return Heard(name, index, generated[:length], audio[0, 0, :length].float())
