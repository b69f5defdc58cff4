"""Two mel spectrograms and their difference, one under the other.

Letters: M mels, F frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from namexp.atomic import write_atomically

LEAST_RANGE = 1.0  # of the colours of the difference, in natural logarithms


def draw_mels(
    path: Path,
    *,
    target: NDArray[np.float32],
    generated: NDArray[np.float32],
    seconds: float,
    title: str,
) -> None:
    """Draw the PNG: one scale of colours for both, another one, around 0, for generated - target.

    Args:
        path: of the picture.
        target: (M, F) log mels of the clip.
        generated: (M, F) of what the generator made of it.
        seconds: that both last.
        title: above all.
    """
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    extent = (0.0, seconds, 0.0, float(target.shape[0]))
    bottom, top = float(target.min()), float(target.max())
    for ax, mel, name in zip(axes[:2], (target, generated), ("target", "generated"), strict=True):
        image = ax.imshow(
            mel, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=bottom, vmax=top,
            interpolation="nearest",
        )  # fmt: skip
        ax.set(title=name, ylabel="mel bin")
    figure.colorbar(image, ax=list(axes[:2]), label="natural logarithm")
    difference = generated - target
    reach = max(LEAST_RANGE, float(np.percentile(np.abs(difference), 99)))
    image = axes[2].imshow(
        difference, origin="lower", aspect="auto", extent=extent, cmap="RdBu_r", vmin=-reach, vmax=reach,
        interpolation="nearest",
    )  # fmt: skip
    axes[2].set(title="generated - target", ylabel="mel bin", xlabel="s")
    figure.colorbar(image, ax=axes[2], label="difference")
    figure.suptitle(title)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=90, format="png"))
