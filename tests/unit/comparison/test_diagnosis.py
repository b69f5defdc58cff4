"""What columns say of an adversarial training: the faults that people meet, and nothing on a sound run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from namexp.comparison.columns import Columns, Point
from namexp.comparison.declared import Clip
from namexp.comparison.diagnosis import diagnose
from namexp.comparison.findings import Finding
from namexp.comparison.foreign import read_log
from tests.unit.comparison.vocoders import mel_values, sound_values

Change = Callable[[dict[str, float], float], Mapping[str, float]]
POINTS = 60
UPSIDE_DOWN = "Polarity lost: generated sound is upside down (correlation -0.80 with its target)."


def columns(
    change: Change = lambda values, done: {}, *, epochs: bool = True, stride: float = 100.0
) -> Columns:
    """A sound run, row by row changed; ``done`` runs from 0 to 1."""
    found: dict[str, list[Point]] = {}
    for k in range(POINTS):
        done = (k + 1) / POINTS
        values = {f"train/{name}": value for name, value in sound_values(done, 0.4).items()}
        values |= {"train/grad_norm_g": 100.0 + k, "train/grad_norm_d": 10.0 + k}
        values |= {"mel_error": values["train/loss_mel"]}
        values |= change(values, done)
        for name, value in values.items():
            found.setdefault(name, []).append(Point(k + 1.0 if epochs else 1.0, stride * k, value))
    return found


def alarms(found: tuple[Finding, ...]) -> list[str]:
    return [finding.text for finding in found if finding.level == "alarm"]


def only(found: tuple[Finding, ...]) -> str:
    (text,) = alarms(found)
    return text


@pytest.mark.parametrize("epochs", [True, False])
def test_a_sound_run_is_fine(epochs: bool) -> None:
    (finding,) = diagnose(columns(epochs=epochs))
    assert finding.level == "fine"
    assert "MPD says 0.67 on real and 0.33 on generated sound" in finding.text
    assert "mel_error went from 1.780 to 0.400" in finding.text


def test_other_trainings_have_no_diagnosis() -> None:
    assert diagnose({"train/loss": [Point(1.0, 0.0, math.nan)], "ESR": [Point(1.0, 0.0, 0.5)]}) == ()
    assert diagnose({}) == ()


def test_the_report_s_own_run(golden: Path) -> None:
    """What spec 1.9 found in its code shows in its log: no gradient, D at 1 and 0, only the mel learned."""
    run = read_log(golden / "vocoder" / "seed004_run_epochs.csv", "log")
    found = alarms(run.diagnosis)
    assert [text.split(":")[0].split("(")[0].strip() for text in found] == [
        "The multi-period discriminators", "The multi-scale discriminators",
        "The generator does not answer its discriminators. Either its adversarial and feature losses have no "
        "gradient to it", "The feature loss of MPD does not fall", "The feature loss of MSD does not fall",
    ]  # fmt: skip
    assert "are certain from the start: on average 1.000 on real and 0.000 on generated" in found[0]
    assert "stands at 5.000, which is 1 for each of 5" in found[0]
    assert "stands at 3.000, which is 1 for each of 3" in found[1]
    assert "(mel loss 1.117 to 0.204) came from the mel loss" in found[2]
    (notice,) = (finding.text for finding in run.diagnosis if finding.level == "notice")
    assert "have the norm 10 at all times: it was taken after clipping" in notice


def certain(values: dict[str, float], done: float) -> dict[str, float]:
    return {"train/mean_msd_on_real": 0.998, "train/mean_msd_on_fake": 0.003, "train/loss_gen_msd": 2.98}


def test_one_kind_of_discriminators_that_is_certain() -> None:
    found = alarms(diagnose(columns(certain)))
    assert len(found) == 3
    assert found[0].startswith("The multi-scale discriminators (MSD) are certain from the start")
    assert "stands at 2.980, which is 1 for each of 3" in found[0]
    assert found[2].startswith("The feature loss of MSD does not fall")


def test_discriminators_that_win_on_the_way_are_no_fault_yet() -> None:
    """The official code's own tiny runs come near to it within 130 steps."""
    notice, fine = diagnose(columns(lambda values, done: certain(values, done) if done > 0.5 else {}))
    assert (notice.level, fine.level) == ("notice", "fine")
    assert "(MSD) have become certain, since epoch 24: on average 0.998 on real and 0.003 on" in notice.text


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_certain_for_a_while_is_no_fault(share: float) -> None:
    assert not alarms(diagnose(columns(lambda values, done: certain(values, done) if done < share else {})))


def test_discriminators_that_collapsed_to_a_constant() -> None:
    constant = {"train/mean_mpd_on_real": 0.5, "train/mean_mpd_on_fake": 0.498}
    late = only(diagnose(columns(lambda v, done: constant if done > 0.6 else {})))
    assert "(MPD) have collapsed to a constant (mean output 0.50 on both)" in late
    notice, fine = diagnose(
        columns(lambda v, done: constant)
    )  # never knew better: a training that has only begun looks so
    assert (notice.level, fine.level) == ("notice", "fine")
    assert "do not tell real from generated sound yet" in notice.text


def test_exchanged_labels() -> None:
    names = ("train/mean_mpd_on_real", "train/mean_mpd_on_fake")
    pairs = list(zip(names, reversed(names), strict=True))
    turned = columns(lambda v, done: {name: v[other] for name, other in pairs})
    assert "(MPD) call generated sound more real than real sound" in only(diagnose(turned))


def test_a_feature_loss_that_collapsed() -> None:
    text = only(diagnose(columns(lambda v, done: {"train/loss_fm_mpd": 2.0 if done < 0.5 else 1e-4})))
    assert text.startswith("The feature loss of MPD has collapsed (2 to 0.0001)")


def test_gradients() -> None:
    assert only(diagnose(columns(lambda v, done: {"train/grad_norm_g": 0.0}))) == (
        "No gradient reaches the generator: its norm is 0 at the end."
    )
    clipped, _ = diagnose(columns(lambda v, done: {"train/grad_norm_d": 5.0}))
    assert (clipped.level, "the norm 5 at all times" in clipped.text) == ("notice", True)


def test_not_a_number() -> None:
    broken = {"train/loss_mel": math.nan, "train/total_loss_g": math.inf}
    found = diagnose(columns(lambda v, done: broken if done > 0.9 else {}))
    assert "train/loss_mel is not finite in epoch 55, and in 1 more columns" in only(found)


@pytest.mark.parametrize(
    ("course", "level", "expected"),
    [
        (
            lambda done: 1.9 - 0.01 * done,
            "alarm",
            "Nothing is learned: mel_error is 1.900 at first and 1.890",
        ),
        (
            lambda done: 0.3 if done < 0.5 else 1.5,
            "alarm",
            "It has come apart: mel_error was 0.300 in epoch 1",
        ),
        (
            lambda done: max(0.5, 1.9 - 4 * done),
            "notice",
            "It stands: the second half did not improve mel_error",
        ),
        (lambda done: 0.26 - 0.01 * done, "fine", "Nothing wrong"),  # fine-tuning begins where others end
    ],
)
def test_the_course_of_the_mel_error(course: Callable[[float], float], level: str, expected: str) -> None:
    found = diagnose(columns(lambda v, done: {"mel_error": course(done)}))
    assert found[0].level == level
    assert found[0].text.startswith(expected)


def test_mel_alone_is_said_and_no_fault() -> None:
    """With or without columns of zeros."""
    for gone in (0.0, math.nan):
        alone: dict[str, list[Point]] = {}
        for k in range(20):
            for name, value in mel_values((k + 1) / 20, 0.4).items():
                alone.setdefault(f"train/{name}", []).append(Point(k + 1.0, None, value))
            if gone == 0.0:
                alone.setdefault("train/loss_gen_mpd", []).append(Point(k + 1.0, None, gone))
                alone.setdefault("train/grad_norm_d", []).append(Point(k + 1.0, None, gone))
        notice, fine = diagnose(alone)
        assert notice.text.startswith("Learns from the mel loss alone")
        assert (notice.level, fine.level) == ("notice", "fine")


def test_adversarial_terms_that_join_later() -> None:
    found = columns()
    late = {
        name: points[30:] if "loss_mel" not in name and "mel_" not in name else points
        for name, points in found.items()
    }
    notice, fine = diagnose(late)
    assert notice.text == "The adversarial terms join in epoch 31; before, mel alone."
    assert fine.level == "fine"


@pytest.mark.parametrize(
    ("gains", "correlations", "expected"),
    [
        ([-7.0, -6.0, 0.0], [0.2] * 3, "Gain lost: generated sound is 6.0 dB quieter than its target."),
        ([12.0], [0.2], "Gain lost: generated sound is 12.0 dB louder than its target."),
        ([0.5] * 2, [-0.9, -0.7], UPSIDE_DOWN),
        ([2.9, -2.0], [0.0, -0.2], None),  # phase is not in a mel
    ],
)  # fmt: skip
def test_gain_and_polarity(gains: list[float], correlations: list[float], expected: str | None) -> None:
    pairs = zip(gains, correlations, strict=True)
    clips = [Clip("x", figures={"gain_db": gain, "correlation": correlation}) for gain, correlation in pairs]
    assert alarms(diagnose(columns(), clips)) == ([] if expected is None else [expected])


def test_a_level_that_is_still_learned() -> None:
    notice, fine = diagnose(columns(stride=2.0), [Clip("x", figures={"gain_db": -5.7})])
    assert notice == ("notice", "Gain not learned yet: generated sound is 5.7 dB quieter than its target.")
    assert fine.level == "fine"


def test_few_points_are_not_judged() -> None:
    """A discriminator may be strong for the one batch that was logged."""
    few = {name: points[:5] for name, points in columns(certain).items()}
    assert not alarms(diagnose(few))
