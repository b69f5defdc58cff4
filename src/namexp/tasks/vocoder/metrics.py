"""How far generated audio is from the original.

Letters: L samples.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from namexp.audio.level import db
from namexp.audio.mel import log_mel
from namexp.losses.spectral import Mrstft
from namexp.tasks.vocoder.config.mel import Mels


@torch.no_grad()
def clip_metrics(generated: Tensor, original: Tensor, mels: Mels) -> dict[str, float]:
    """Of one clip: ``mel_error`` as the official validation measures it, and ``MRSTFT``.

    Args:
        generated: (L,) samples.
        original: (L' >= L,) samples, the whole clip; what is left over is not compared.
        mels: the second judges.
    """
    # as there, the clip's own mel is that of all of it: its last frames look at what is left over
    found, target = (log_mel(long_enough(x[None], mels), mels.loss) for x in (generated, original))
    frames = min(found.shape[-1], target.shape[-1])
    mel_error = float((found[..., :frames] - target[..., :frames]).abs().mean())
    original = original[: generated.numel()]
    mrstft = (
        float(Mrstft()(generated[None], original[None])) if generated.numel() >= Mrstft.MIN_SAMPLES else None
    )
    return {"mel_error": mel_error, "MRSTFT": float("nan") if mrstft is None else mrstft}


def long_enough(audio: Tensor, mels: Mels) -> Tensor:
    """(..., L) samples and zeros, as many as a mel is taken from: whole frames of a short clip are fewer."""
    missing = mels.loss.least_samples - audio.shape[-1]
    return audio if missing <= 0 else F.pad(audio, (0, missing))


@torch.no_grad()
def level_and_polarity(generated: Tensor, original: Tensor) -> dict[str, float]:
    """``gain_db`` of the generated audio over the original, and the ``correlation`` of their waveforms.

    A vocoder does not keep phases, so that a correlation of 0 is no fault; one that is clearly negative is
    a polarity that was lost.
    """
    x, y = generated.double(), original[: generated.numel()].double()
    energies = x.square().sum(), y.square().sum()
    norm = float((energies[0] * energies[1]).sqrt())
    gain = float(energies[0] / energies[1]) ** 0.5 if float(energies[1]) > 0 else float("nan")
    return {"gain_db": db(gain), "correlation": float(x @ y) / norm if norm > 0 else 0.0}
