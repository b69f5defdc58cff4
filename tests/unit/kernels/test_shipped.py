"""Kernels that came with the package: which are loaded, when, and that the list of them is whole."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from namexp.conf_dir import conf_dir
from namexp.kernels import array_library, compiler, shipped
from namexp.kernels.compiler import UnavailableError, load
from namexp.kernels.shipped import find_shipped, instruction_sets, library_name
from namexp.kernels.texts import array_text
from namexp.schema.composition import composed
from namexp.tasks.known import parse_experiment
from tests.compilers import needs_compiler

TEXT = 'extern "C" __attribute__((visibility("default"))) int answer() { return NUMBER; }\n'
FORTY_TWO, SEVEN = TEXT.replace("NUMBER", "42"), TEXT.replace("NUMBER", "7")


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package and an empty cache, and no memory of what was found before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(shipped, "instruction_sets", lambda: ("wide", "narrow"))
    remembered = (compiler._folder, compiler._load, compiler._compiler_of, array_library._kernels)
    for function in remembered:
        function.cache_clear()
    yield tmp_path / "shipped"
    for function in remembered:
        function.cache_clear()


def _ship(package: Path, instruction_set: str, text: str, *, as_if: str | None = None) -> Path:
    """Compile ``text``, under the name of another one if that is given."""
    library = package / instruction_set / library_name(as_if or text)
    library.parent.mkdir(parents=True, exist_ok=True)
    (package / "kernel.cpp").write_text(text)
    command = compiler._commands()[0]
    subprocess.run([*command, "-shared", "-fPIC", package / "kernel.cpp", "-o", library], check=True)
    return library


@needs_compiler
def test_they_need_no_compiler_and_no_waiting(
    package: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _ship(package, "narrow", FORTY_TWO)
    monkeypatch.setenv("PATH", "")
    assert load({"an answer": FORTY_TWO})[0].answer() == 42
    assert caplog.messages == []
    assert not (package.parent / "namexp").exists(), "nothing is kept"
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    with pytest.raises(UnavailableError, match="NAMEXP_KERNELS is off"):
        load({"an answer": FORTY_TWO})


@needs_compiler
def test_the_best_that_this_machine_runs(package: Path) -> None:
    _ship(package, "narrow", SEVEN, as_if=FORTY_TWO)
    wide = _ship(package, "wide", FORTY_TWO)
    _ship(package, "of another machine", SEVEN, as_if=FORTY_TWO)
    assert find_shipped(FORTY_TWO) == wide
    assert load({"an answer": FORTY_TWO})[0].answer() == 42


@needs_compiler
def test_one_of_another_version_is_not_loaded(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ship(package, "wide", FORTY_TWO)
    assert find_shipped(FORTY_TWO + "\n") is None
    monkeypatch.setattr(shipped, "native_digest", lambda: "other files")
    assert find_shipped(FORTY_TWO) is None


@needs_compiler
def test_all_come_from_one_hand(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ship(package, "wide", SEVEN, as_if=FORTY_TWO)  # to be told from a compiled one
    one, other = load({"a": FORTY_TWO, "b": SEVEN})
    assert (one.answer(), other.answer()) == (42, 7), "the package lacks one: both are compiled"
    assert load({"a": FORTY_TWO})[0].answer() == 7
    monkeypatch.setenv("CXX", compiler._commands()[0][0])
    assert load({"a": FORTY_TWO})[0].answer() == 42, "who names a compiler wants it"


@needs_compiler
def test_one_that_cannot_be_loaded_is_compiled_instead(package: Path) -> None:
    _ship(package, "wide", FORTY_TWO).write_bytes(b"no library")
    assert load({"an answer": FORTY_TWO})[0].answer() == 42


@pytest.mark.parametrize(
    ("machine", "capability", "expected"),
    [
        ("x86_64", "AVX512", ("avx512", "avx2")),
        ("AMD64", "AVX2", ("avx2",)),
        ("x86_64", "DEFAULT", ()),
        ("arm64", "DEFAULT", ("neon",)),
        ("aarch64", "SVE256", ("neon",)),
    ],
)
def test_what_a_machine_runs(
    monkeypatch: pytest.MonkeyPatch, machine: str, capability: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setattr(shipped, "instruction_sets", instruction_sets)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert instruction_sets() == expected


def test_every_model_of_an_amp_is_on_the_list() -> None:
    sys.path.insert(0, "scripts")
    try:
        from build_wheels import PLATFORMS, texts
    finally:
        sys.path.remove("scripts")
    listed = set(texts())
    models = sorted(path.stem for path in Path(conf_dir(), "model").glob("*.yaml"))
    own = [m for m in models if "packed" in m or m.startswith("wavenet") or m == "slimmable"]
    assert len(own) == 7
    for model in own:
        plan = parse_experiment(composed([f"model={model}"], conf_dir())).model.plan
        for row in plan.rows:
            assert {array_text(array) for array in row.spec.layer_arrays} <= listed, model
    assert {name for p in PLATFORMS.values() for name in p.processors} == {"avx512", "avx2", "neon"}
