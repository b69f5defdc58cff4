"""The guard around content, names that stay inside, and archives that are whole."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from namexp.errors import UserError
from namexp.reading.archive import verify_archive
from namexp.reading.damage import content_of, inside
from namexp.reading.plain import MOST_VALUES, check_plain, is_finite


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        TypeError("x"),
        ZeroDivisionError("x"),
        OverflowError("x"),
        IndexError("x"),
        RuntimeError("a\nb"),
    ],
)
def test_what_content_breaks_is_one_line_that_names_the_file(error: Exception) -> None:
    with (
        pytest.raises(UserError, match=r"^a\.ckpt: is damaged.*" + type(error).__name__) as caught,
        content_of(Path("a.ckpt")),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_a_users_error_gets_the_name_once() -> None:
    with pytest.raises(UserError, match=r"^a\.ckpt: seed is missing$"), content_of(Path("a.ckpt")):
        raise UserError("seed is missing")
    with pytest.raises(UserError, match=r"^a\.ckpt: seed is missing$"), content_of(Path("a.ckpt")):
        raise UserError("a.ckpt: seed is missing")


def test_other_exceptions_go_on() -> None:
    with pytest.raises(KeyboardInterrupt), content_of(Path("a.ckpt")):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "name", ["../b.ckpt", "/etc/passwd", "a/../../b", "link/b", "", None, 5, "a\0b", ["a"]]
)
def test_names_lead_nowhere_else(tmp_path: Path, name: object) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"no name|outside"):
        inside(root, name)
    assert inside(root, "checkpoints/a.ckpt") == root / "checkpoints" / "a.ckpt"


def test_an_integer_beyond_all_floats_is_no_finite_number() -> None:
    assert [is_finite(v) for v in (1, 1.5, 10**400, -(10**400), float("nan"), True, "1", None)] == [
        True, True, False, False, False, False, False, False,
    ]  # fmt: skip


def test_plain_values_have_a_depth_and_a_number() -> None:
    check_plain({"a": [1, "b", None, {"c": (True, 2.5)}]}, "x")
    shared: list[object] = [0] * 10
    for _ in range(7):
        shared = [shared] * 10
    with pytest.raises(UserError, match=f"x holds more than {MOST_VALUES} values"):
        check_plain(shared, "x")
    deep: list[object] = []
    for _ in range(60):
        deep = [deep]
    with pytest.raises(UserError, match="x is nested more than 50 deep"):
        check_plain(deep, "x")
    with pytest.raises(UserError, match="a value of type bytes"):
        check_plain({"a": b"x"}, "x")


def test_an_archive_that_could_unpack_to_anything_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(UserError, match="packed parts"):
        verify_archive(path)
