"""What is printed can be pasted: a shell and Hydra's grammar give back what was meant."""

from __future__ import annotations

import io
import os
import random
import shlex
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.door import argument, in_hydras_words, resuming, say, setting
from namexp.schema.resuming import resume_argument

NAMES = [
    "a b", "it's", 'q"q', "a=b", "a,b", "$HOME", "${seed}", "a${oc.env:HOME}", "\\${x}", "{a}", "[1,2]",
    "(x)", "choice(1,2)", "ünï ☃", "back\\slash", "end\\", "\\'", "#h", "50%", "~t", "!n;&|", "`x`", "*?",
    "a:b", "-x", "null", "auto", "True", "1e3", "12", "nan", "new\nline", "tab\t", "@x", "+a", "'quoted'",
    '"quoted"', "日本",
]  # fmt: skip


def test_any_text_comes_through_hydra() -> None:
    draw = random.Random(0)
    letters = "\\'\"${}[](),=: aé#%~!;&x0-"
    drawn = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(60)]
    texts = [*NAMES, *drawn]
    words = [f"+one.n{i}={in_hydras_words(text)}" for i, text in enumerate(texts)]
    words += [f"+{shlex.split(setting(f'other.n{i}', text))[0]}" for i, text in enumerate(texts)]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        composed = compose("train", words)
    assert [composed.one[f"n{i}"] for i in range(len(texts))] == texts
    assert [composed.other[f"n{i}"] for i in range(len(texts))] == texts


@pytest.mark.parametrize("text", ["a/b.wav", "/x/y-z_1.nam", "packed_wavenet", "me@home+x%"])
def test_what_needs_no_quotes_has_none(text: str) -> None:
    assert setting("init_from", text) == f"init_from={text}"


@pytest.mark.parametrize("name", [name for name in NAMES if "/" not in name])
def test_a_run_of_any_name_is_continued_by_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    (word,) = shlex.split(resuming(tmp_path / name))
    found = resume_argument([word])
    assert found is not None
    assert os.path.samefile(found, tmp_path / name)
    in_full = str(tmp_path / name)
    assert resume_argument([f"resume={in_hydras_words(in_full)}"]) == in_full, "in Hydra's words too"
    path = shlex.split(argument(tmp_path / name))[0]
    assert not path.startswith("-")
    assert os.path.samefile(path, tmp_path / name)


def test_letters_that_the_terminal_lacks_are_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    say("caf\udce9 é")
    assert written.getvalue() == b"caf\\udce9 \\xe9\n"
