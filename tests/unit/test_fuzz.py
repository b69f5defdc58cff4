"""A small share of what ``scripts/fuzz.py`` damages, always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SHARE = {
    "nam": 60, "config": 30, "metrics": 60, "json": 120, "audio": 40, "mel": 80, "safetensors": 40,
    "official": 12, "checkpoint": 15, "training": 15, "page": 6, "sweep": 40,
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Files that are sound, of every kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        from fuzzing.sound import make_all

        folder = tmp_path_factory.mktemp("sound")
        make_all(folder)
        yield folder


@pytest.mark.parametrize("kind", SHARE)
def test_damage_is_refused_in_one_line_or_taken(sound: Path, kind: str) -> None:
    from fuzz import fuzz
    from fuzzing.kinds import KINDS

    assert set(SHARE) == set(KINDS)
    results = list(fuzz(kind, 7, 0, SHARE[kind], sound))
    assert [f"{r.index}: {r.what}: {r.told}" for r in results if r.what] == []
    assert len({r.outcome for r in results}) == (1 if kind == "page" else 2), (
        "both, or the damage is too small"
    )


def test_the_guard_sees_what_it_is_there_for(sound: Path) -> None:
    from fuzzing.guard import AcceptedError, examined

    def fails(error: BaseException) -> Any:
        def work() -> bool:
            raise error

        return work

    assert examined(lambda: True) == ("taken", None)
    assert examined(fails(OSError("one line"))) == ("refused", None)
    for error, what in (
        (KeyError("x"), "traceback"),
        (OSError("a\nb"), "lines"),
        (AcceptedError("x"), "accepted"),
    ):
        _, found = examined(fails(error))
        assert found is not None
        assert found.what == what
