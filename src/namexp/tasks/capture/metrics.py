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
def recording_metrics(
    pairs: Iterable[tuple[Tensor, Tensor]], *, scale: float = 1.0, val_loss: str | None = None
) -> dict[str, Tensor]:
    """ESR, MSE and MRSTFT of every submodel over one or several recordings, at the recordings' own level.

    MSE grows with the square of the level, and MRSTFT depends on it a little (its spectra end at 1e-8), so
    figures of another level, such as the one that was trained at, could not be compared.

    ESR is the summed squared error over the summed squared target (energies first, then the ratio);
    MSE divides by the number of samples. MRSTFT is taken on each recording as a whole; several are
    averaged by their lengths.

    Args:
        pairs: (S, L) predictions and (L,) targets; L may differ from pair to pair.
        scale: what both were multiplied by, to be undone.
        val_loss: the metric that is also wanted as ``val_loss``, at the level of ``pairs``: it selects, as it
            always has, in the units of the loss.

    Returns:
        (S,) float64 values by name. A prediction that is not finite has values that are not finite.

    Raises:
        ValueError: all targets are silent, or there are none.
    """
    error: Tensor | float = 0.0
    spectral: Tensor | float = 0.0
    as_given: Tensor | float = 0.0  # MRSTFT at the level of the pairs
    energy, count = 0.0, 0
    mrstft = Mrstft()
    for prediction, target in pairs:
        prediction, target = prediction.detach().cpu(), target.cpu()  # float64 is not everywhere
        difference = prediction.double() - target.double()
        error = error + (difference**2).sum(dim=-1)
        energy += float((target.double() ** 2).sum())
        count += target.numel()
        own = _mrstft(mrstft, prediction / scale, target / scale) * target.numel()
        spectral = spectral + own
        if val_loss == "MRSTFT":
            as_given = as_given + (
                own if scale == 1.0 else _mrstft(mrstft, prediction, target) * target.numel()
            )
    if not isinstance(error, Tensor) or not isinstance(spectral, Tensor) or energy == 0.0:
        raise ValueError("ESR is undefined: the targets are silent or there are none.")
    mse = error / count
    metrics = {"ESR": error / energy, "MSE": mse / scale**2, "MRSTFT": spectral / count}
    if val_loss is None:
        return metrics
    selecting = {"ESR": metrics["ESR"], "MSE": mse, "MRSTFT": as_given / count}
    return {"val_loss": torch.as_tensor(selecting[val_loss]), **metrics}


def _mrstft(mrstft: Mrstft, prediction: Tensor, target: Tensor) -> Tensor:
    """(S, L) and (L,) to (S,) float64 values."""
    if target.numel() < Mrstft.MIN_SAMPLES:
        return torch.full(prediction.shape[:1], torch.nan, dtype=torch.float64)
    return mrstft.of_submodels(prediction[None].float(), target[None].float()).double()
