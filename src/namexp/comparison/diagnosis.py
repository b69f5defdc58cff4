"""What is wrong with an adversarial training, said by its own columns.

A pure function of metrics.csv and of what is known of the clips. An ``alarm`` is a fault, a ``notice``
something to know; where nothing alarms, one ``fine`` line says what was looked at. Runs without the columns
of ``adversarial`` have no findings at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from namexp.comparison import adversarial
from namexp.comparison.columns import Columns
from namexp.comparison.declared import Clip
from namexp.comparison.discriminators import features, judged_by, outputs
from namexp.comparison.findings import (
    ENOUGH,
    LEAST,
    Finding,
    alarm,
    course,
    end_of,
    notice,
    place_of,
    values_of,
)

GAIN_DB, TURNED = 3.0, -0.5  # of the generated sound against the target; their correlation
YOUNG = 2000  # steps before which the level is still learned
UNLEARNED = 0.8  # a mel error above it is that of a generator that has learned little
MEL_COLUMNS = ("mel_error", "val/loss_mel", "train/loss_mel")


def diagnose(columns: Columns, clips: Sequence[Clip] = ()) -> tuple[Finding, ...]:
    """Whatever can be told.

    Args:
        columns: of metrics.csv, by the names of ``adversarial``.
        clips: with ``gain_db`` and ``correlation`` of the generated sound among their figures.
    """
    if not adversarial.has_any(columns):
        return ()
    looks: tuple[Callable[[Columns], Iterator[Finding]], ...] = (
        _not_finite, _joining, outputs, features, _gradients, _mel,
    )  # fmt: skip
    found = [finding for look in looks for finding in look(columns)]
    found += _sound(columns, clips)
    if not any(finding.level == "alarm" for finding in found):
        found += _in_order(columns)
    return tuple(found)


# --- looks ----------------------------------------------------------------------------------------


def _not_finite(columns: Columns) -> Iterator[Finding]:
    first = {
        name: bad
        for name, points in columns.items()
        if name.startswith(("train/", "val/")) or name in ("val_loss", "mel_error")
        if (bad := next((p.epoch for p in points if not math.isfinite(p.value)), None)) is not None
    }
    if first:
        name = min(first, key=lambda name: first[name])
        more = f", and in {len(first) - 1} more columns" if len(first) > 1 else ""
        yield alarm(f"Not a number: {name} is not finite in epoch {first[name]:.0f}{more}.")


def _joining(columns: Columns) -> Iterator[Finding]:
    """From when on the adversarial terms take part."""
    begun = _begun(columns)
    if not begun:
        yield notice(
            "Learns from the mel loss alone: no adversarial term has a value. As a run before the main run "
            "that is what it should be; by itself the sound stays buzzing or dull."
        )
        return
    name = min(begun, key=lambda name: begun[name])
    mel = course(columns, adversarial.MEL)
    before = sum(x < begun[name] for x, _ in mel)
    if before > 1:
        yield notice(
            f"The adversarial terms join in {place_of(columns, name, begun[name])}; before, mel alone."
        )


def _begun(columns: Columns) -> dict[str, float]:
    """The adversarial losses of the generator, and from when on they have a value."""
    names = [adversarial.loss("gen", own) for own in adversarial.DISCRIMINATORS]
    return {name: x for name in names for x, value in reversed(course(columns, name)) if value != 0.0}


def _gradients(columns: Columns) -> Iterator[Finding]:
    whose = {"_g": "the generator", "": "all weights"}
    if _begun(columns):
        whose["_d"] = "the discriminators"
    for suffix, name in whose.items():
        values = [p.value for p in columns.get(f"train/grad_norm{suffix}", ()) if math.isfinite(p.value)]
        if len(values) < LEAST:
            continue
        if not any(end_of(values)):
            yield alarm(f"No gradient reaches {name}: its norm is 0 at the end.")
        elif max(values) - min(values) <= 1e-6 * abs(max(values)):
            yield notice(
                f"The gradients of {name} have the norm {values[0]:g} at all times: it was taken after "
                "clipping, and says nothing."
            )


def _mel(columns: Columns) -> Iterator[Finding]:
    """Whether the mel error falls, stands or rises again."""
    name = next((name for name in MEL_COLUMNS if len(columns.get(name, ())) >= ENOUGH), None)
    points = course(columns, name) if name is not None else ()
    if name is None or len(points) < ENOUGH:
        return
    values = values_of(points)
    half = len(values) // 2
    at, best = min(points, key=lambda point: point[1])
    place = place_of(columns, name, at)
    if best > max(UNLEARNED, 0.9 * values[0]):
        yield alarm(f"Nothing is learned: {name} is {values[0]:.3f} at first and {best:.3f} at best.")
    elif median(end_of(values, 10)) > 2.0 * best:
        yield alarm(f"It has come apart: {name} was {best:.3f} in {place} and ends at {values[-1]:.3f}.")
    elif min(values[half:]) > 0.99 * min(values[:half]):
        yield notice(f"It stands: the second half did not improve {name} ({best:.3f} in {place}).")


def _sound(columns: Columns, clips: Sequence[Clip]) -> Iterator[Finding]:
    """Gain and polarity; phase is not in a mel, so that a correlation near 0 means nothing."""
    gains = [clip.figures["gain_db"] for clip in clips if "gain_db" in clip.figures]
    if gains and abs(gain := median(gains)) > GAIN_DB:
        off = f"generated sound is {abs(gain):.1f} dB {'louder' if gain > 0 else 'quieter'} than its target"
        steps = [point.step for points in columns.values() for point in points if point.step is not None]
        is_young = max(steps, default=YOUNG) < YOUNG
        yield notice(f"Gain not learned yet: {off}.") if is_young else alarm(f"Gain lost: {off}.")
    correlations = [clip.figures["correlation"] for clip in clips if "correlation" in clip.figures]
    if correlations and (correlation := median(correlations)) < TURNED:
        yield alarm(
            f"Polarity lost: generated sound is upside down (correlation {correlation:.2f} with its target)."
        )


def _in_order(columns: Columns) -> Iterator[Finding]:
    """What was looked at and found in order."""
    said = []
    for own in adversarial.DISCRIMINATORS:
        judged = judged_by(columns, own)
        if len(judged) >= LEAST:
            real, fake = (median(end_of([row[k] for row in judged])) for k in (1, 2))
            said.append(f"{own.upper()} says {real:.2f} on real and {fake:.2f} on generated sound")
    name = next((name for name in MEL_COLUMNS if columns.get(name)), None)
    values = values_of(course(columns, name)) if name is not None else []
    if len(values) >= LEAST:
        said.append(f"{name} went from {values[0]:.3f} to {values[-1]:.3f}")
    if said:
        yield Finding("fine", f"Nothing wrong is seen: {', '.join(said)}.")
