"""Whether the discriminators of an adversarial training and its generator answer each other."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from namexp.comparison import adversarial
from namexp.comparison.columns import Columns
from namexp.comparison.findings import (
    ENOUGH,
    FALLS,
    LEAST,
    Finding,
    alarm,
    course,
    end_of,
    notice,
    place_of,
    tenths,
    values_of,
)  # fmt: skip

CERTAIN = 0.02  # mean outputs this near to 1 on real and to 0 on generated
MOSTLY = 0.8  # of the points
STILL = 0.05  # relative: a loss this near to one value does not move
GONE = 0.01  # of its usual height: a loss that ends below has collapsed
EQUAL, APART = 0.01, 0.1  # between mean outputs: nothing tells real from generated; something does

# (x, mean output on real, on generated) of one kind of discriminators
Judged = list[tuple[float, float, float]]


def judged_by(columns: Columns, own: str) -> Judged:
    """Those of the points that have both."""
    fake = dict(course(columns, adversarial.mean(own, "fake")))
    return [(x, real, fake[x]) for x, real in course(columns, adversarial.mean(own, "real")) if x in fake]


def outputs(columns: Columns) -> Iterator[Finding]:
    """Discriminators that are certain, that cannot tell, or that tell the wrong way round."""
    some = False
    for own, kind in adversarial.DISCRIMINATORS.items():
        judged = judged_by(columns, own)
        begins = _certain_from(judged)
        who = f"The {kind} discriminators ({own.upper()})"
        if begins is None:
            yield from _equal_or_turned(who, judged)
        elif begins > len(judged) // 10:
            since = place_of(columns, adversarial.mean(own, "real"), judged[begins][0])
            yield notice(
                f"{who} have become certain, since {since}: {_said(judged[begins:])}. It happens, above all "
                "to small generators; it is well as long as the mel error goes on falling."
            )
        else:
            some = True
            yield alarm(f"{who} are certain from the start: {_said(judged)}.{_height(columns, own)}")
    if some:
        yield alarm(_cause(columns))


def _certain_from(judged: Judged) -> int | None:
    """From which of them on most say 1 for real and 0 for generated sound; None: they do not in the end."""
    sure = [real > 1.0 - CERTAIN and fake < CERTAIN for _, real, fake in judged]
    if len(sure) < ENOUGH or not (sum(sure) >= MOSTLY * len(sure) or all(end_of(sure))):
        return None
    return next(i for i in range(len(sure)) if sum(sure[i:]) >= MOSTLY * (len(sure) - i))


def _is_certain_early(judged: Judged) -> bool:
    begins = _certain_from(judged)
    return begins is not None and begins <= len(judged) // 10


def _said(judged: Judged) -> str:
    real, fake = (median(row[k] for row in judged) for k in (1, 2))
    return f"on average {real:.3f} on real and {abs(fake):.3f} on generated sound"


def _height(columns: Columns, own: str) -> str:
    """Where the generator's loss stands, if it stands."""
    losses = values_of(course(columns, adversarial.loss("gen", own)))
    height = median(end_of(losses)) if losses else 0.0
    count = round(height)
    if not count or sum(abs(loss - count) <= STILL * count for loss in losses) < MOSTLY * len(losses):
        return ""
    return (
        f" The generator's adversarial loss stands at {height:.3f}, which is 1 for each of {count}: all of "
        "them call everything generated fake, whatever the generator does."
    )


def _cause(columns: Columns) -> str:
    text = (
        "The generator does not answer its discriminators. Either its adversarial and feature losses have no "
        "gradient to it (computed without gradients, or cut off), or the discriminators' loss trains the "
        "generator too (generated sound not detached), or they are far too strong for it: check that each "
        "term reaches what it should."
    )
    mel = values_of(course(columns, adversarial.MEL))
    if len(mel) >= LEAST and tenths(mel)[1] < FALLS * mel[0]:
        text += f" All that was learned (mel loss {mel[0]:.3f} to {mel[-1]:.3f}) came from the mel loss."
    return text


def _equal_or_turned(who: str, judged: Judged) -> Iterator[Finding]:
    if len(judged) < LEAST:
        return
    apart = [real - fake for _, real, fake in judged]
    end = end_of(apart)
    if median(end) < -APART:
        yield alarm(f"{who} call generated sound more real than real sound: are the labels exchanged?")
    elif all(abs(gap) < EQUAL for gap in end):
        both = f"(mean output {median(row[1] for row in judged[-len(end) :]):.2f} on both)"
        if max(apart) > APART:
            yield alarm(
                f"{who} have collapsed to a constant {both}: they could tell real from generated once."
            )
        else:
            yield notice(f"{who} do not tell real from generated sound yet {both}.")


def features(columns: Columns) -> Iterator[Finding]:
    """Feature losses that are gone, or that stay while the discriminators are certain."""
    for own in adversarial.DISCRIMINATORS:
        values, judged = values_of(course(columns, adversarial.loss("fm", own))), judged_by(columns, own)
        if len(values) < LEAST or not any(values):
            continue
        first, last = tenths(values)
        usual = sorted(values)[int(0.9 * len(values))]  # not the greatest, which may be one bad step
        name = f"The feature loss of {own.upper()}"
        if last < GONE * usual:
            yield alarm(
                f"{name} has collapsed ({usual:.3g} to {last:.3g}): its features are the same for real "
                "and generated sound, as if the discriminators were dead."
            )
        elif _is_certain_early(judged) and last > FALLS * first:
            yield alarm(
                f"{name} does not fall ({first:.2f} at the beginning, {last:.2f} at the end): nothing brings "
                "the features of generated sound nearer to those of real sound."
            )
