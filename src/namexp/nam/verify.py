"""A file is a success when it has been read back and plays what the network plays."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from namexp.atomic import scratch
from namexp.audio.loudness_signal import loudness_signal
from namexp.models.network import Network
from namexp.models.streaming import play
from namexp.nam.model import NamModel, read_nam, write_nam

TOLERANCE = 1e-6  # of the peak


class ExportError(RuntimeError):
    """The file does not play what the network plays: a defect of namexp, not of its user."""


def write_verified(model: NamModel, path: Path, *, expected: Tensor, probe: Tensor) -> None:
    """Write the file under another name, read it back, compare, and only then give it its name.

    Args:
        model: what is written.
        path: the file's name.
        expected: (S, L) what the trained network plays for ``probe``, at the recording's level.
        probe: (1, L) samples.

    Raises:
        UserError: a weight is NaN or infinite.
        ExportError: the file plays something else.
    """
    with scratch(path) as directory:
        candidate = directory / path.name
        write_nam(model, candidate)
        played = play(read_nam(candidate).network, probe)[0]
        compare(expected, played)
        candidate.replace(path)


def compare(expected: Tensor, played: Tensor) -> None:
    """Refuse (S, L) outputs that differ by more than the tolerance, relative to each row's peak.

    Raises:
        ExportError: shows the row, its error and the tolerance.
    """
    if expected.shape != played.shape:
        raise ExportError(
            f"the file plays {tuple(played.shape)} (sizes, samples), the network {tuple(expected.shape)}."
        )
    for row, (a, b) in enumerate(zip(expected, played, strict=True)):
        peak = float(a.abs().max())
        error = float((a - b).abs().max())
        if not error <= TOLERANCE * peak + 1e-12:
            raise ExportError(
                f"size {row} of the file differs from the network by {error:.3g}, at a peak of {peak:.3g}; "
                f"at most {TOLERANCE:g} of the peak is rounding."
            )


def probe_signal() -> Tensor:
    """(1, L) samples that reach every part of a network: half a second of noise."""
    return torch.from_numpy(loudness_signal()[:24000].copy())[None]


def played_rows(network: Network, probe: Tensor) -> Tensor:
    """(S, L) what ``network`` plays for ``probe``."""
    return play(network, probe)[0]
