"""The wheel holds everything, and an installed package finds its conf/."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_every_config_and_module_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"namexp/conf/{path.relative_to(ROOT / 'conf').as_posix()}" in names
    for path in (ROOT / "src" / "namexp").rglob("*.py"):
        assert f"namexp/{path.relative_to(ROOT / 'src' / 'namexp').as_posix()}" in names
    assert "hydra_plugins/namexp_search/sweeper.py" in names
    template = Path("comparison") / "template"
    for path in (ROOT / "src" / "namexp" / template).iterdir():
        assert f"namexp/{template.as_posix()}/{path.name}" in names


def test_the_installed_package_works_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv = ['train', '--cfg', 'job'];"
        "import namexp.train; assert namexp.__file__.startswith(sys.path[0]), namexp.__file__;"
        "namexp.train.main()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    assert "kind: packed_wavenet" in shown.stdout
