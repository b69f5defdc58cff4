"""Every name under which something is told, written once: trackers log them, dashboards show them.

``suffix`` is that of a submodel's metrics: ``_packed_0``, ``_channels_4``, or nothing for an ordinary
WaveNet.
"""

from __future__ import annotations

STEP = "trainer/global_step"  # the one axis of everything
TRAIN_LOSS = "train/loss"
LEARNING_RATE = "train/lr"
GRADIENT_NORM = "train/grad_norm"

AUDIO_INPUT = "audio/input"
AUDIO_TARGET = "audio/target"
COMPARISON = "pictures/comparison"
SUBMODELS = "submodels"  # the table of the end

PARAMETERS = "parameters"
MACS_PER_SAMPLE = "macs_per_sample"
MAX_VALUE = "max_value"


def metric(name: str, suffix: str) -> str:
    """A metric of a submodel as it develops."""
    return f"{name}{suffix}"


def exported(name: str, suffix: str) -> str:
    """A metric of a submodel as it was exported: one value, in the summary."""
    return f"exported/{name}{suffix}"


def model_fact(name: str, suffix: str) -> str:
    """What is known of a submodel besides its sound: one value, in the summary."""
    return f"model/{name}{suffix}"


def prediction(suffix: str) -> str:
    """How a submodel sounds."""
    return f"audio/prediction{suffix}"


def difference(suffix: str) -> str:
    """Prediction minus target of a submodel, as sound."""
    return f"audio/difference{suffix}"


def spectrogram(suffix: str) -> str:
    """Picture of target, prediction and difference of a submodel."""
    return f"pictures/spectrogram{suffix}"
