"""A network that stays silent is told about."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.silence import SilenceCheck
from tests.captures import one_model

LOGGER = "namexp.tasks.capture.silence"


@pytest.fixture(scope="module")
def single() -> CaptureModule:
    return one_model()


@pytest.mark.parametrize(
    ("epoch", "esr", "sanity", "warns"),
    [(4, 0.96, False, True), (4, 0.94, False, False), (3, 0.96, False, False), (6, 0.96, False, True),
     (4, 0.96, True, False)],
)  # fmt: skip
def test_a_network_that_stays_silent_is_told_about_once(
    single: CaptureModule, caplog: pytest.LogCaptureFixture, epoch: int, esr: float, sanity: bool, warns: bool
) -> None:
    trainer: Any = SimpleNamespace(
        callback_metrics={"ESR": torch.tensor(esr)}, sanity_checking=sanity, current_epoch=epoch
    )
    check = SilenceCheck()
    with caplog.at_level(logging.WARNING, LOGGER):
        check.on_validation_end(trainer, single)
        check.on_validation_end(trainer, single)
    message = (
        f"ESR is still 0.96 after {epoch + 1} epochs, about what silence scores; "
        "check data.delay and that input and target belong together"
    )
    assert caplog.messages == ([message] if warns else [])
