"""Counts of the official models, and numbers that do not fit each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from namexp.architectures.glow import Estimator, GlowSpec, Level, check_glow
from namexp.errors import UserError


def spec(
    estimator: Estimator = "shallow", hidden: int = 256, steps: int = 32, embedding: int = 0
) -> GlowSpec:
    return GlowSpec(32, 3, steps, hidden, estimator, embedding)


COUNTS = {
    "Glow, 256 channels": (spec(), 15_972_912),
    "Glow, 512 channels": (spec(hidden=512), 44_235_312),
    "Glow-large": (spec("deep"), 287_488_560),
    "NanoFlow-naive": (spec("naive"), 9_263_064),
    "NanoFlow-decomp": (spec("decomp"), 9_934_896),
    "NanoFlow": (spec("nanoflow", embedding=1), 10_113_264),
    "NanoFlow, K = 48": (spec("nanoflow", steps=48, embedding=3), 10_718_544),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_official_models(name: str) -> None:
    found, expected = COUNTS[name]
    assert found.num_parameters == expected


def test_shapes_of_levels() -> None:
    assert spec("nanoflow", embedding=3).shapes == (Level(12, 16, 3), Level(24, 8, 6), Level(48, 4, 12))
    assert spec().num_dimensions == 3072


def test_sharing_saves_parameters_but_no_arithmetic() -> None:
    deep, naive, decomp = spec("deep"), spec("naive"), spec("decomp")
    assert deep.macs_per_image == naive.macs_per_image == decomp.macs_per_image
    # by hand: one step of level 1, 256 channels
    one = replace(deep, levels=1, steps=1)
    step = 256 * (6 * 256 * 9 + 5 * 256 * 256 * 9 + 256 * 12 + 12 * 12)
    assert one.macs_per_image == step


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            replace(spec(), image_size=36),
            "model.image_size (= 36) is halved by each of the 3 levels and must",
        ),
        (replace(spec(), image_size=3), "such as 8"),
        (replace(spec(), embedding_channels=1), "model.embedding_channels (= 1) must be 0"),
        (spec("nanoflow"), "must be at least 1 for model.estimator nanoflow"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(changed: GlowSpec, said: str) -> None:
    with pytest.raises(UserError, match="model") as error:
        check_glow(changed, "model")
    assert said in str(error.value)
