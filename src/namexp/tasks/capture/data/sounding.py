"""Whether there is anything to hear: what is silent is refused, what is nearly so is told."""

from __future__ import annotations

import logging

import numpy as np

from namexp.audio.level import db, rms
from namexp.audio.wav import Samples
from namexp.errors import UserError

log = logging.getLogger(__name__)

SILENT_DBFS = -120.0  # RMS: below it lie a converter's last bits, and above it the noise of any amp
QUIET_DBFS = -60.0  # below it lies the noise of an amp that nobody plays
FULL_SCALE_FROM = 1.0 - 2.0**-15  # the greatest sample of 16 bits


def require_sound(samples: Samples, name: str, setting: str = "", *, part: str = "", why: str = "") -> None:
    """See that (L,) samples are not silent.

    Args:
        samples: of a recording, or a part of it, at its own level.
        name: of the file.
        setting: what to look at besides the recording.
        part: which part, with a colon.
        why: what silence spoils, for people.

    Raises:
        UserError: they are.
    """
    level = db(rms([samples]))
    if level >= SILENT_DBFS:
        return
    found = "0" if not np.any(samples) else f"next to nothing ({level:.0f} dBFS RMS)"
    raise UserError(
        f"{name}: {part}is silent{why}: all {samples.size} samples are {found}; check the recording"
        f"{f' ({setting})' if setting else ''}."
    )


def warn_of_quiet(samples: Samples, name: str) -> None:
    """Tell where what is learned from is as quiet as an amp that nobody plays."""
    level = db(rms([samples]))
    if level < QUIET_DBFS:
        log.warning(
            "%s: the training part is very quiet, at %.0f dBFS RMS: was the amp on, and is this what it "
            "played?", name, level,
        )  # fmt: skip


def warn_of_clipping(samples: Samples, name: str, sample_rate: int) -> None:
    """Tell how many samples reach full scale, and where: there a converter's input was too hot."""
    reached = np.flatnonzero(np.abs(samples) >= FULL_SCALE_FROM)
    if reached.size:
        first = int(reached[0])
        log.warning(
            "%s: clips: %d samples reach full scale, the first is sample %d (%.2f s); record it at a lower "
            "level, if that is not how the amp sounds", name, reached.size, first, first / sample_rate,
        )  # fmt: skip
