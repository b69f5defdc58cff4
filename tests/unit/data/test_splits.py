from __future__ import annotations

import hashlib

from namexp.data.splits import OFFICIAL_VALIDATION, nanoflow, official, parted, report, tail

# clips of the chapters of LJSpeech that the report's parts need; the set has 13,100 in 50 chapters
CHAPTERS = range(1, 51)


def _names(per_chapter: int) -> list[str]:
    return [f"LJ{chapter:03}-{number:04}" for chapter in CHAPTERS for number in range(1, per_chapter + 1)]


def test_the_official_split_validates_150_known_clips() -> None:
    names = _names(500)
    train, validation = official(names)
    assert len(validation) == 150 == sum(map(len, OFFICIAL_VALIDATION.values()))
    assert len(train) == len(names) - 150
    assert not set(train) & set(validation)
    assert validation[0] == "LJ001-0028"
    assert validation[-1] == "LJ050-0278"
    # of the sorted names in the official validation list, one a line
    digest = hashlib.sha256("\n".join(sorted(validation)).encode()).hexdigest()
    assert digest == "9edeaa9a8c30470105132f414b02635552dd2d1ba7555ddcabd3de80e679db2e"


def test_the_reports_split_goes_by_chapters() -> None:
    train, validation = report([*_names(2), "other-1"])
    assert {name[:4] for name in train} == {"LJ00", "LJ01", "LJ02", "LJ03", "LJ05"}
    assert {name[:4] for name in validation} == {"LJ04"}
    assert len(train) == 2 * 40
    assert len(validation) == 2 * 10


def test_nanoflows_split_is_the_first_1310_by_name_and_no_clip_twice() -> None:
    names = _names(262)
    assert len(names) == 13100
    train, validation = nanoflow(names[::-1])
    assert (len(train), len(validation)) == (11790, 1310)
    assert validation == names[:1310], "by name, whatever the order of a list"
    assert train[0] == names[1310], "the official tail -n+1310 would begin with the 1310th, which validates"
    assert nanoflow(names[:3]) == ([], names[:3])


def test_the_tail_validates_where_no_split_is_named() -> None:
    assert tail(list("abcdefghijklmnopqrst")) == (list("abcdefghijklmnopqr"), ["s", "t"])
    assert tail(["a", "b"]) == (["a"], ["b"])
    assert len(tail(_names(262)).validation) == 150


def test_rules_by_name() -> None:
    names = _names(30)
    assert parted(names, "ljspeech") == official(names)
    assert parted(names, "report") == report(names)
    assert parted(names, "nanoflow") == nanoflow(names)
    assert parted(names, None) == tail(names)
