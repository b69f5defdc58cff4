"""From files to the two parts of every recording: what is trained on and what is validated on.

Letters: L samples, R receptive field.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from namexp.audio import synth
from namexp.audio.level import amplitude, db, rms
from namexp.audio.wav import Recording, read_wav, sha256_of
from namexp.engine.training import Material
from namexp.errors import UserError
from namexp.tasks.capture.config.data import DataConfig, PairPlan
from namexp.tasks.capture.data.aligning import Part, aligned
from namexp.tasks.capture.data.sounding import require_sound, warn_of_clipping, warn_of_quiet

log = logging.getLogger(__name__)

SIDES = ("data.input", "data.target")
NOTHING_TO_LEARN = ", so there is nothing to learn"


@dataclass(frozen=True)
class Recordings(Material):
    """Everything that one training hears.

    Attributes:
        train: the stretches to cut windows from.
        validation: the stretches that are scored, each preceded by nothing: their first R - 1
            samples are context.
        sample_rate: Hz, of all files.
        target_scale: what the target was multiplied by to reach its level, to be undone at export;
            1.0 for the recording as it is.
        sha256: of the content of every input and target, in the order of the config.
        embedded: whether this is the recording that namexp synthesises.
        source: what an error calls it.
    """

    train: tuple[Part, ...]
    validation: tuple[Part, ...]
    sample_rate: int
    target_scale: float
    sha256: dict[str, list[str]]
    embedded: bool
    source: str = "data.input"

    @property
    def facts(self) -> dict[str, Any]:
        """Rate and scale: what a checkpoint needs to be played."""
        return {"sample_rate": self.sample_rate, "target_scale": self.target_scale}

    @property
    def tags(self) -> tuple[str, ...]:
        """What a tracker may be asked for."""
        return ("embedded",) if self.embedded else ()


def load_recordings(config: DataConfig, *, receptive_field: int) -> Recordings:
    """Read, align, cut, scale and check.

    Args:
        config: the data group.
        receptive_field: R of the network: what a window needs before its first output.

    Raises:
        UserError: a file that cannot be used, with its name, what it has and what is needed.
    """
    pairs = [_read_pair(plan) for plan in config.recordings]
    sample_rate = _common_rate(pairs, config)
    train, validation = [], []
    for (plan, input_, target), names in zip(pairs, map(_names, config.recordings), strict=True):
        whole = _cut(_align(plan, input_, target, config, names), plan, sample_rate, names)
        head, tail = _split(whole, plan, sample_rate, names)
        if head is not None:
            _require_length(head, receptive_field + config.ny - 1, "training", names, config)
            for samples, name, side in zip(head, names, SIDES, strict=True):
                require_sound(samples, name, side, part="the training part ", why=NOTHING_TO_LEARN)
                warn_of_quiet(samples, name)
            train.append(head)
        if tail is not None:
            _require_length(tail, receptive_field, "validation", names, config)
            for samples, name in zip(tail, names, strict=True):
                # the first R - 1 samples are context: what is scored must sound
                scored = samples[receptive_field - 1 :]
                require_sound(scored, name, "data.validation_seconds", part="the validation part: ")
            validation.append(tail)
    sha256 = {
        "input": [sha256_of(*input_) for _, input_, _ in pairs],
        "target": [sha256_of(*target) for _, _, target in pairs],
    }
    recordings = Recordings(
        tuple(train),
        tuple(validation),
        sample_rate,
        1.0,
        sha256,
        config.embedded,
        source=str(config.input or "data.pairs"),
    )
    return _normalise(_apply_gains(recordings, config), config)


def _names(plan: PairPlan) -> tuple[str, str]:
    return plan.input or "embedded input", plan.target or "embedded target"


def _read_pair(plan: PairPlan) -> tuple[PairPlan, Recording, Recording]:
    if plan.input is None or plan.target is None:
        return plan, *synth.embedded_recording()
    input_, target = read_wav(plan.input, lossy="noticed"), read_wav(plan.target)
    warn_of_clipping(target.samples, plan.target, target.sample_rate)
    return plan, input_, target


def _common_rate(pairs: list[tuple[PairPlan, Recording, Recording]], config: DataConfig) -> int:
    first = config.sample_rate or pairs[0][1].sample_rate
    source = "data.sample_rate" if config.sample_rate else _names(pairs[0][0])[0]
    for plan, *recordings in pairs:
        for name, recording in zip(_names(plan), recordings, strict=True):
            if recording.sample_rate != first:
                raise UserError(
                    f"{name}: is recorded at {recording.sample_rate} Hz and {source} says {first} Hz; "
                    "all files must have one sample rate, so export them again at the same."
                )
    return first


def _align(
    plan: PairPlan, input_: Recording, target: Recording, config: DataConfig, names: tuple[str, str]
) -> Part:
    """Equal lengths, and the target moved by its delay; both must sound."""
    part = aligned(
        input_,
        target,
        delay=plan.delay,
        names=names,
        allow_unequal=config.allow_unequal_lengths,
        settings=("data.delay", "data.allow_unequal_lengths=true"),
    )
    for samples, name, setting in zip(part, names, SIDES, strict=True):
        require_sound(samples, name, setting)
    return part


def _cut(part: Part, plan: PairPlan, sample_rate: int, names: tuple[str, str]) -> Part:
    """The range from start to stop; negative values count from the end."""
    length = part.input.size

    def position(name: str, default: int) -> int:
        samples = getattr(plan, f"{name}_samples")
        seconds = getattr(plan, f"{name}_seconds")
        if seconds is not None:
            samples = round(seconds * sample_rate)
        if samples is None:
            return default
        place = samples + length if samples < 0 else samples
        if not 0 <= place <= length:
            raise UserError(f"data.{name} (= {samples} samples) lies outside {names[0]}, which has {length}.")
        return place

    start, stop = position("start", 0), position("stop", length)
    if start >= stop:
        raise UserError(
            f"data: start (= sample {start}) must lie before stop (= sample {stop}) in {names[0]}."
        )
    return Part(part.input[start:stop], part.target[start:stop])


def _split(
    part: Part, plan: PairPlan, sample_rate: int, names: tuple[str, str]
) -> tuple[Part | None, Part | None]:
    """(training, validation): the end of the recording validates."""
    if plan.use == "train":
        return part, None
    if plan.use == "validation":
        return None, part
    border = part.input.size - round(plan.validation_seconds * sample_rate)
    if border <= 0:
        raise UserError(
            f"data.validation_seconds (= {plan.validation_seconds:g}) leaves nothing to train on: "
            f"{names[1]} has {part.input.size / sample_rate:.2f} s; record more or set it lower."
        )
    head = Part(part.input[:border], part.target[:border])
    return head, Part(part.input[border:], part.target[border:])


def _require_length(
    part: Part, needed: int, purpose: str, names: tuple[str, str], config: DataConfig
) -> None:
    if part.target.size < needed:
        raise UserError(
            f"{names[1]}: the {purpose} part has {part.target.size} samples and the model needs "
            f"{needed} (its receptive field{f' and data.ny={config.ny}' if purpose == 'training' else ''}); "
            "record more, or choose a model with a shorter receptive field."
        )


def _apply_gains(recordings: Recordings, config: DataConfig) -> Recordings:
    """The input gain and the target scale of the config: they change the model for good."""
    gain, scale = amplitude(config.input_gain_db), config.target_scale
    if gain == 1.0 and scale == 1.0:
        return recordings
    return replace(
        recordings,
        train=tuple(_scaled(part, gain, scale) for part in recordings.train),
        validation=tuple(_scaled(part, gain, scale) for part in recordings.validation),
    )


def _scaled(part: Part, gain: float, scale: float) -> Part:
    return Part(part.input * np.float32(gain), part.target * np.float32(scale))


def _normalise(recordings: Recordings, config: DataConfig) -> Recordings:
    """Bring the RMS of all training targets together to the level; remember the factor.

    scale = 10^(level / 20) / sqrt(sum of y^2 over all training parts / their samples)
    """
    level = rms(part.target for part in recordings.train)
    if config.level_rms_dbfs is None:
        return recordings
    assert level > 0.0, "every training part sounds"
    scale = amplitude(config.level_rms_dbfs) / level
    assert math.isfinite(scale), f"RMS {level} gives the scale {scale}"
    log.info(
        "training target: %.2f dBFS RMS, brought to %.2f dBFS (x %.4f); the export undoes it",
        db(level), config.level_rms_dbfs, scale,
    )  # fmt: skip
    return replace(
        recordings,
        train=tuple(_scaled(part, 1.0, scale) for part in recordings.train),
        validation=tuple(_scaled(part, 1.0, scale) for part in recordings.validation),
        target_scale=scale,
    )
