"""WaveFlow and NanoFlow, with the official names of all weights."""

from namexp.models.waveflow.averaging import averaged
from namexp.models.waveflow.likelihood import negative_log_likelihood, prior_part
from namexp.models.waveflow.model import Details, WaveFlow
from namexp.models.waveflow.noise import Noise
from namexp.models.waveflow.states import load_weights
from namexp.models.waveflow.synthesizer import Synthesizer

__all__ = [
    "Details", "Noise", "Synthesizer", "WaveFlow", "averaged", "load_weights", "negative_log_likelihood",
    "prior_part",
]  # fmt: skip
