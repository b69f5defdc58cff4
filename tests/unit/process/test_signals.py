"""SIGTERM does what Ctrl-C does at that moment, whatever that is."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from namexp.process.signals import BOTH, asked, held_back, interrupt, is_interruption, listening


@pytest.fixture(autouse=True)
def _as_a_process_begins() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in BOTH}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_both_interrupt_and_everything_is_put_back(number: signal.Signals) -> None:
    with listening():
        assert not asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert asked()
    assert [signal.getsignal(n) for n in BOTH] == [signal.default_int_handler, signal.SIG_DFL]


def test_who_answers_ctrl_c_answers_sigterm() -> None:
    came: list[int] = []
    with listening():
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert came == [signal.SIGINT, signal.SIGINT]


def test_a_process_in_the_background_of_a_shell_is_still_ended() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with listening():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # it is being answered


def test_a_scheduler_that_listens_goes_on_to_do_so() -> None:
    came: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    with listening():
        signal.raise_signal(signal.SIGTERM)
    assert came == [signal.SIGTERM]


def test_one_inside_another_changes_nothing() -> None:
    with listening():
        with pytest.raises(KeyboardInterrupt), listening():
            signal.raise_signal(signal.SIGTERM)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_what_a_library_raises_while_it_tidies_up_is_an_interruption_too() -> None:
    def tidy_up() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    with pytest.raises(RuntimeError) as caught:
        tidy_up()
    assert is_interruption(caught.value)
    assert is_interruption(KeyboardInterrupt())
    assert not is_interruption(RuntimeError("unexpected pos 64 vs 0"))


@pytest.mark.parametrize("number", BOTH)
def test_what_must_be_finished_is_finished_first(number: signal.Signals) -> None:
    done = []

    def finish() -> None:
        with held_back():
            signal.raise_signal(number)
            done.append("written")

    with listening():
        with pytest.raises(KeyboardInterrupt):
            finish()
        assert signal.getsignal(signal.SIGINT) is interrupt
    assert done == ["written"]
