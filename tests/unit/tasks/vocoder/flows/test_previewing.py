"""A flow is heard while it learns, and learns as if nobody listened."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from namexp.audio.mel_scale import MelSpec
from namexp.models.waveflow import WaveFlow
from namexp.schema.callbacks import CallbacksConfig
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import load_speech
from namexp.tasks.vocoder.flows.module import FlowModule
from namexp.tasks.vocoder.flows.playing import synthesised
from namexp.tasks.vocoder.flows.previewing import HEARD, TEMPERATURE, play
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.showing.preview import Preview
from tests.unit.models.waveflow_specs import NANOFLOW, lively
from tests.unit.tasks.vocoder.clip_sets import speech_data, write_set

MEL = MelSpec(centered=True)
SPEC = type(NANOFLOW)(**{**NANOFLOW.__dict__, "n_mels": 80})


@pytest.fixture
def data(tmp_path: Path) -> SpeechDataModule:
    config = speech_data(
        dir=str(write_set(tmp_path / "clips", size=7000)), segment_size=1024, normalize=False
    )
    return SpeechDataModule(load_speech(config, MEL), config, loss_mel=MEL, seed=0, rank=0, world_size=1)


class Module(FlowModule):
    """With a network alone: nothing is trained here."""

    def __init__(self, network: WaveFlow) -> None:
        torch.nn.Module.__init__(self)
        self.network = network


def test_a_clip_is_played_from_its_mel_and_leaves_the_training_as_it_was(data: SpeechDataModule) -> None:
    module = Module(lively(SPEC).double())
    module.train()
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    torch.manual_seed(3)
    expected_next = torch.rand(4)
    torch.manual_seed(3)
    heard = play(module, 0, data=data, seconds=0.2)
    assert torch.equal(torch.rand(4), expected_next), "no number was drawn from the training's"
    assert module.training
    assert module.network.training
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())
    mel, audio = data.validation_clip(0)
    frames = int(0.2 * 22050 / 256)
    samples = (frames - 1) * 256
    played = module.network.as_played().float()
    expected = synthesised(played, mel[0, :, :frames], samples, temperature=TEMPERATURE, seed=0)
    torch.testing.assert_close(heard.generated, expected)
    assert torch.equal(heard.original, audio[0, 0, :samples])
    assert heard.name == f"{data.validation_names[0]}, temperature 0.8"
    again = play(module, 0, data=data, seconds=60.0)
    assert torch.equal(again.original, audio[0, 0, : len(again.original)]), "no longer than the clip"
    assert len(again.original) <= audio.shape[-1]


def test_every_second_validation_leaves_a_file(data: SpeechDataModule, tmp_path: Path) -> None:
    told: list[tuple[list[str], int]] = []
    tracker = SimpleNamespace(
        audio=lambda clips, step: told.append((list(clips), step)), pictures=lambda pictures, step: None
    )
    wanted = CallbacksConfig(progress=False, plots=False, stop_at_esr=None, patience=None)
    mels = Mels(MEL, MEL)
    preview = Preview(
        VocoderLayout(tmp_path), cast(Any, tracker), 1, partial(play, data=data, seconds=0.1), mels, wanted,
        seed=0, every_n_validations=2, chosen=HEARD,
    )  # fmt: skip
    module = Module(lively(SPEC))
    module.updates = 7
    for epoch in range(4):
        trainer = SimpleNamespace(
            sanity_checking=False, is_global_zero=True, current_epoch=epoch, check_val_every_n_epoch=1
        )
        preview.on_validation_end(cast(Any, trainer), module)
    assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == [
        "clip_0_00002.flac", "clip_0_00004.flac",
    ]  # fmt: skip
    assert told == [(["audio/clip_0", "audio/clip_0_target"], 7)] * 2
