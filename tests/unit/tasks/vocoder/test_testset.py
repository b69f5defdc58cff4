from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from namexp.errors import UserError
from namexp.tasks.vocoder.testset import PHRASE, Terminal, check_test_set


class _Person:
    """Somebody who types, and a clock that they move."""

    def __init__(self, *answers: tuple[str | None, float], is_there: bool = True) -> None:
        self.answers = list(answers)
        self.now = 100.0
        self.shown: list[str] = []
        self.terminal = Terminal(lambda: is_there, self.shown.append, self._read, lambda: self.now)

    def _read(self) -> str:
        answer, seconds = self.answers.pop(0)
        self.now += seconds
        if answer is None:
            raise EOFError
        return answer


def _recordings(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    return directory


def test_three_are_taken_without_a_question(tmp_path: Path) -> None:
    _recordings(tmp_path, "b.wav", "a.WAV", "sub/c.flac", "notes.txt")
    person = _Person()
    found = check_test_set(tmp_path, terminal=person.terminal)
    assert [path.name for path in found] == ["a.WAV", "b.wav", "c.flac"]
    assert person.shown == []


@pytest.mark.parametrize("count", [1, 2, 4])
def test_another_number_wants_two_slow_answers(tmp_path: Path, count: int) -> None:
    _recordings(tmp_path, *(f"{i}.wav" for i in range(count)))
    person = _Person((PHRASE, 8.0), (f"  {PHRASE} ", 30.0))
    assert len(check_test_set(tmp_path, terminal=person.terminal)) == count
    assert len(person.shown) == 3
    files = f"{count} file" + "s" * (count != 1)
    assert f"has {files} and a test set has 3" in person.shown[0]
    assert PHRASE in person.shown[0]
    assert all(prompt.endswith("> ") for prompt in person.shown[1:])


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(PHRASE, 7.9)], "came after 7.9 s, before the 8 s of thought were over"),
        ([(PHRASE, 8.0), (PHRASE, 1.0)], "came after 1.0 s"),
        ([("yes", 60.0)], "another than the sentence"),
        ([(PHRASE.lower(), 60.0)], "another than the sentence"),
        ([("", 60.0)], "another than the sentence"),
        ([(PHRASE, 9.0), (PHRASE + ".", 60.0)], "another than the sentence"),
        ([(None, 60.0)], "no answer was given"),
    ],
)
def test_anything_else_ends_it(tmp_path: Path, answers: list[tuple[str | None, float]], said: str) -> None:
    _recordings(tmp_path, "a.wav", "b.wav")
    person = _Person(*answers)
    with pytest.raises(UserError) as caught:
        check_test_set(tmp_path, terminal=person.terminal)
    message = str(caught.value)
    assert said in message
    assert "has 2 files and a test set has 3" in message
    assert "\n" not in message
    assert person.answers == []


def test_nobody_is_asked_without_a_terminal(tmp_path: Path) -> None:
    _recordings(tmp_path, "a.wav", "b.wav")
    person = _Person(is_there=False)
    with pytest.raises(UserError) as caught:
        check_test_set(tmp_path, terminal=person.terminal)
    assert "has 2 files and a test set has 3; pass --accept-untested" in str(caught.value)
    assert person.shown == []


def test_scripts_accept_and_other_numbers_may_be_expected(tmp_path: Path) -> None:
    _recordings(tmp_path, "a.wav", "b.wav")
    person = _Person()
    assert len(check_test_set(tmp_path, accept_untested=True, terminal=person.terminal)) == 2
    assert len(check_test_set(tmp_path, expected=2, terminal=person.terminal)) == 2
    assert person.shown == []


def test_nothing_to_hear_is_never_accepted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no wav"):
        check_test_set(tmp_path, accept_untested=True)
    with pytest.raises(UserError, match="no such directory"):
        check_test_set(tmp_path / "gone", accept_untested=True)


SCRIPT = "import sys; from namexp.tasks.vocoder.testset import check_test_set; check_test_set(sys.argv[1])"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals on this system")
def test_at_a_real_terminal_hasty_answers_are_not_believed(tmp_path: Path) -> None:
    _recordings(tmp_path, "a.wav")
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        seen, until = b"", time.monotonic() + 30
        while not seen.endswith(b"> ") and time.monotonic() < until:
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 4096)
        os.write(ours, PHRASE.encode() + b"\n")
        _, error = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 1
    assert b"before the 8 s of thought were over" in error
