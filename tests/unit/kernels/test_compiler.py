"""Compiled kernels: found again, never those of another machine, and what is said without a compiler."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from namexp.kernels import array_library, compiler, fallback
from namexp.kernels.compiler import Compiler, UnavailableError, load
from namexp.models.wavenet import WaveNet
from tests.architectures import layers, wavenet
from tests.compilers import needs_compiler

ANSWER = 'extern "C" __attribute__((visibility("default"))) int answer() { return 42; }\n'
LEAKY = wavenet(layers(activation="LeakyReLU"))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and no memory of what was found or told before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remembered = (
        compiler._folder, compiler._load, compiler._compiler_of, array_library._kernels, fallback._tell,
    )  # fmt: skip
    for function in remembered:
        function.cache_clear()
    yield tmp_path / "namexp" / "kernels"
    for function in remembered:
        function.cache_clear()


@needs_compiler
def test_a_kernel_is_compiled_once(cache_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (library,) = load({"an answer": ANSWER})
    assert library.answer() == 42
    assert caplog.messages[0] == "compiling for this machine, once: an answer"
    (file,) = cache_folder.glob("*.so")
    written = file.stat().st_mtime_ns
    caplog.clear()
    compiler._load.cache_clear()
    assert load({"an answer": ANSWER})[0].answer() == 42
    assert caplog.messages == []
    assert file.stat().st_mtime_ns == written
    assert list(cache_folder.iterdir()) == [file], "nothing temporary stays"


@needs_compiler
def test_a_kernel_of_another_machine_or_version_is_not_loaded(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load({"an answer": ANSWER})
    (own,) = cache_folder.glob("*.so")
    for change in ("digest of a machine", "digest of a version"):
        if change.endswith("machine"):
            monkeypatch.setattr(compiler._compiler(), "digest", change)
        else:
            monkeypatch.setattr(compiler, "_native_digest", lambda: "another text")
        own.write_bytes(b"must not be loaded")
        compiler._load.cache_clear()
        assert load({"an answer": ANSWER})[0].answer() == 42
    assert len(list(cache_folder.glob("*.so"))) == 3


@needs_compiler
def test_the_instruction_set_is_part_of_the_name() -> None:
    program = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    assert program is not None
    native, other = Compiler((program,)), Compiler((program, "-DANOTHER_MACHINE"))
    assert native.digest == Compiler((program,)).digest
    assert native.digest != other.digest


@needs_compiler
def test_a_text_that_does_not_compile_is_told_in_one_line(cache_folder: Path) -> None:
    with pytest.raises(UnavailableError, match="error: ") as caught:
        load({"nothing": "this is no C++\n"})
    assert "\n" not in str(caught.value)
    assert list(cache_folder.iterdir()) == []


@needs_compiler
def test_a_cache_that_cannot_be_written_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load({"an answer": ANSWER})[0].answer() == 42


def _hide_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)


def test_without_a_compiler_torch_does_the_work_and_one_line_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _hide_compilers(tmp_path, monkeypatch)
    network, x = WaveNet(LEAKY), torch.randn(2, 100)
    exact = WaveNet(LEAKY).double()
    exact.load_state_dict(network.state_dict())
    for _ in range(2):
        torch.testing.assert_close(network(x).double(), exact(x.double()), rtol=1e-5, atol=1e-6)
    assert caplog.messages == [
        "notice: the network runs on torch's own operations, which is several times slower: no C++ compiler "
        "was found (c++, g++, clang++); install g++ or clang++"
    ]


def test_a_compiler_that_was_named_and_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hide_compilers(tmp_path, monkeypatch)
    monkeypatch.setenv("CXX", "icpx")
    with pytest.raises(UnavailableError, match=r"no C\+\+ compiler was found \(icpx\)"):
        load({"an answer": ANSWER})


def test_kernels_can_be_switched_off_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    with pytest.raises(UnavailableError, match="NAMEXP_KERNELS is off"):
        load({"an answer": ANSWER})
    WaveNet(LEAKY)(torch.randn(1, 100))
    assert caplog.messages == []
