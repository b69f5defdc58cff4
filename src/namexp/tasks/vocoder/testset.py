"""The rule of the test set: three files, or somebody who knows what they do.

Source: the report's VocoderTestDataset, which asks twice and does not believe hasty answers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from namexp.errors import UserError

PHRASE = "I know that this test set has not been tested"
QUESTIONS = 2
THOUGHT_SECONDS = 8.0
SUFFIXES = (".wav", ".flac")


@dataclass(frozen=True)
class Terminal:
    """Who is asked, and how long they think.

    Attributes:
        is_there: whether somebody reads and types.
        show: shows a line or, where its end says so, a prompt.
        read: the next line typed, without its end.
        clock: seconds.
    """

    is_there: Callable[[], bool]
    show: Callable[[str], None]
    read: Callable[[], str]
    clock: Callable[[], float]

    @classmethod
    def of_process(cls) -> Terminal:
        """The terminal that the process was started from."""
        return cls(_is_there, _show, _read, time.monotonic)


def _is_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty())


def _show(text: str) -> None:
    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    stream.write(text)
    stream.flush()


def _read() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


def list_test_set(directory: Path | str, ignored: Callable[[Path], bool] = lambda _: False) -> list[Path]:
    """The recordings of a test set, in the order of their names, those of its directories too.

    Args:
        directory: of the recordings.
        ignored: what does not belong to it, such as what was made of it before.

    Raises:
        UserError: no directory, or nothing in it to hear.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory of test recordings.")
    found = sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not ignored(path)
    )
    if not found:
        raise UserError(f"{directory}: holds no wav; a test set is a directory of them.")
    return found


def check_test_set(
    directory: Path | str,
    *,
    expected: int = 3,
    accept_untested: bool = False,
    terminal: Terminal | None = None,
    ignored: Callable[[Path], bool] = lambda _: False,
) -> list[Path]:
    """The recordings of a test set that has as many as expected, or is used knowingly.

    With another number somebody at the terminal is asked twice, and must type the sentence after at least 8 s
    of thought each time.

    Args:
        directory: of the recordings.
        expected: how many a tested set has.
        accept_untested: whether nobody is asked.
        terminal: who is asked; None: who started the process.
        ignored: what does not belong to it.

    Raises:
        UserError: no recordings; or another number, and nobody there, or not the answers that are needed.
    """
    found = list_test_set(directory, ignored)
    if len(found) == expected or accept_untested:
        return found
    terminal = terminal or Terminal.of_process()
    numbers = f"{directory}: has {_files(len(found))} and a test set has {expected}"
    if not terminal.is_there():
        raise UserError(
            f"{numbers}; pass --accept-untested (in a training data.accept_untested=true) to use it all the "
            "same, or the number that you mean by --expected-files (data.expected_test_files)."
        )
    terminal.show(
        f"Warning: {numbers}. It has not been tested with this number, and results will not compare.\n"
        f"To go on, type twice, after at least {THOUGHT_SECONDS:g} s of thought each time:\n{PHRASE}\n"
    )
    for question in range(1, QUESTIONS + 1):
        refusal = _ask(terminal, question)
        if refusal is not None:
            raise UserError(f"{numbers}; {refusal}. Nothing was done.")
    return found


def _ask(terminal: Terminal, question: int) -> str | None:
    """Why an answer does not count; None: it does."""
    shown_at = terminal.clock()
    terminal.show(f"({question}/{QUESTIONS}) > ")
    try:
        answer = terminal.read()
    except EOFError:
        return "no answer was given"
    thought = terminal.clock() - shown_at
    if answer.strip() != PHRASE:
        return "the answer was another than the sentence that is wanted"
    if thought < THOUGHT_SECONDS:
        return f"the answer came after {thought:.1f} s, before the {THOUGHT_SECONDS:g} s of thought were over"
    return None


def _files(number: int) -> str:
    return f"{number} file" if number == 1 else f"{number} files"
