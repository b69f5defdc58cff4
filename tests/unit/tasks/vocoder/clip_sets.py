"""Small directories in the layout of LJSpeech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from namexp.audio.mel_scale import MelSpec
from namexp.conf_dir import conf_dir
from namexp.schema.group import parse_group
from namexp.tasks.vocoder.config.data import SpeechData

MEL = MelSpec()
LOSS_MEL = MelSpec(fmax=None)


def speech_data(**changed: Any) -> SpeechData:
    """conf/data/speech.yaml with some values changed, checked as a training checks it."""
    values = yaml.safe_load((Path(conf_dir()) / "data" / "speech.yaml").read_text())
    return parse_group("data", {**values, **changed}, SpeechData)


def noise(name: str, size: int) -> np.ndarray:
    """(size,) of 16 bits that are the name's own."""
    random = np.random.RandomState(sum(name.encode()) + size)
    return random.randint(-20000, 20000, size).astype(np.int16)


def write_clip(path: Path, samples: np.ndarray, *, rate: int = 22050, subtype: str = "PCM_16") -> Path:
    """One file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def write_set(
    directory: Path,
    train: Sequence[str] = ("a", "b", "c"),
    validation: Sequence[str] = ("v",),
    size: int = 9000,
) -> Path:
    """wavs/, train.txt and validation.txt; each clip 100 samples longer than the one before."""
    for i, name in enumerate((*train, *validation)):
        write_clip(directory / "wavs" / f"{name}.wav", noise(name, size + 100 * i))
    for list_name, names in (("train", train), ("validation", validation)):
        (directory / f"{list_name}.txt").write_text("".join(f"{name}|x|x\n" for name in names))
    return directory
