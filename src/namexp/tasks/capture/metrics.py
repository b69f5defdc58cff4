"""What is reported: figures of whole recordings, never of chunks or batches.

Letters: S submodels, L samples.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from namexp.losses.spectral import Mrstft

VAL_LOSS_METRIC = {"esr": "ESR", "mse": "MSE", "mrstft": "MRSTFT"}  # setting to metric


@torch.inference_mode()
def recording_metrics(pairs: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """ESR, MSE and MRSTFT of every submodel over one or several recordings.

    ESR is the summed squared error over the summed squared target (energies first, then the ratio);
    MSE divides by the number of samples. MRSTFT is taken on each recording as a whole; several are
    averaged by their lengths.

    Args:
        pairs: (S, L) predictions and (L,) targets; L may differ from pair to pair.

    Returns:
        (S,) float64 values by name. A prediction that is not finite has values that are not finite.

    Raises:
        ValueError: all targets are silent, or there are none.
    """
    error: Tensor | float = 0.0
    spectral: Tensor | float = 0.0
    energy, count = 0.0, 0
    mrstft = Mrstft()
    for prediction, target in pairs:
        prediction, target = prediction.detach().cpu(), target.cpu()  # float64 is not everywhere
        difference = prediction.double() - target.double()
        error = error + (difference**2).sum(dim=-1)
        energy += float((target.double() ** 2).sum())
        count += target.numel()
        spectral = spectral + _mrstft(mrstft, prediction, target) * target.numel()
    if not isinstance(error, Tensor) or not isinstance(spectral, Tensor) or energy == 0.0:
        raise ValueError("ESR is undefined: the targets are silent or there are none.")
    return {
        "ESR": error / energy,
        "MSE": error / count,
        "MRSTFT": spectral / count,
    }


def _mrstft(mrstft: Mrstft, prediction: Tensor, target: Tensor) -> Tensor:
    """(S, L) and (L,) to (S,) float64 values."""
    if target.numel() < Mrstft.MIN_SAMPLES:
        return torch.full(prediction.shape[:1], torch.nan, dtype=torch.float64)
    return mrstft.of_submodels(prediction[None].float(), target[None].float()).double()
