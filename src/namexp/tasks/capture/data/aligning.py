"""Input and target side by side: of one length, and the target moved by its delay.

Letters: L samples.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from namexp.audio.wav import Recording, Samples
from namexp.errors import UserError

log = logging.getLogger(__name__)

UNEQUAL_SECONDS = 1.0  # a DAW's tail: shorter differences are cut with a notice


class Part(NamedTuple):
    """A stretch of a recording, input and target aligned: (L,) each."""

    input: Samples
    target: Samples


def aligned(
    input: Recording,
    target: Recording,
    *,
    delay: int,
    names: tuple[str, str],
    allow_unequal: bool,
    settings: tuple[str, str],
) -> Part:
    """What the two share, each sample of the target beside the one of the input that it came from.

    Args:
        input: what went into the amp.
        target: what came out, of the same rate.
        delay: samples that the target lags behind; negative: it leads.
        names: of both, for people.
        allow_unequal: cut to the shorter one, however different they are.
        settings: what the delay is called, and how ``allow_unequal`` is asked for.

    Raises:
        UserError: lengths more than a second apart, or a delay as long as the recording.
    """
    x, y = input.samples, target.samples
    difference = abs(x.size - y.size) / input.sample_rate
    if x.size != y.size:
        if difference > UNEQUAL_SECONDS and not allow_unequal:
            raise UserError(
                f"{names[0]} has {x.size} samples and {names[1]} has {y.size}, {difference:.2f} s "
                f"apart; export both over the same range, or set {settings[1]} to "
                "use what they share."
            )
        log.info("lengths differ by %.3f s; both are cut to the shorter one", difference)
    length = min(x.size, y.size)
    x, y = x[:length], y[:length]
    if abs(delay) >= length:
        raise UserError(f"{settings[0]} (= {delay}) is as long as {names[1]} ({length} samples).")
    if delay > 0:
        x, y = x[:-delay], y[delay:]
    elif delay < 0:
        x, y = x[-delay:], y[:delay]
    return Part(x, y)
