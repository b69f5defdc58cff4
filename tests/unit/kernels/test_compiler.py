"""Compiled kernels: found again, never those of another machine, and what is said without a compiler."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from namexp.kernels import array_library, cache, compiler, discovery, fallback
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
            monkeypatch.setattr(next(compiler._compilers()), "digest", change)
        else:
            monkeypatch.setattr(compiler, "native_digest", lambda: "another text")
        own.unlink()  # this process has it mapped: written over, it would end with a bus error
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


# --- nobody else's code ---------------------------------------------------------------------------------


def _again(what: str = "an answer") -> int:
    """What a new process would get."""
    for function in (compiler._folder, compiler._load):
        function.cache_clear()
    (library,) = load({what: ANSWER})
    return int(library.answer())


def _built(cache_folder: Path) -> Path:
    load({"an answer": ANSWER})
    (file,) = cache_folder.glob("*.so")
    return file


@needs_compiler
@pytest.mark.parametrize("damage", ["cut off", "a bit", "empty", "writable by others", "a link"])
def test_a_kernel_that_is_not_as_it_was_written_is_compiled_again(
    cache_folder: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    caplog.set_level(logging.INFO)
    file = _built(cache_folder)
    content = file.read_bytes()
    loaded = file.with_name("loaded")  # what this process has mapped stays as it is
    file.rename(loaded)
    changed = {"cut off": content[:-1], "empty": b"", "a bit": content[:-1] + bytes([content[-1] ^ 1])}
    if damage == "a link":
        file.symlink_to(loaded)
    else:
        file.write_bytes(changed.get(damage, content))
        file.chmod(0o666 if damage == "writable by others" else 0o600)
    caplog.clear()
    assert _again() == 42
    assert [line for line in caplog.messages if "once" in line] == [
        "compiling for this machine, once: an answer"
    ]
    (file,) = cache_folder.glob("*.so")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == len(content)


@needs_compiler
def test_the_folder_is_its_owners_alone(cache_folder: Path) -> None:
    cache_folder.mkdir(parents=True)
    cache_folder.chmod(0o777)
    _built(cache_folder)
    for folder in (cache_folder, cache_folder.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


NOBODY = 65534


@needs_compiler
@pytest.mark.parametrize("whose", ["cache", "namexp", "kernels"])
def test_a_folder_of_another_user_is_not_used(
    cache_folder: Path, caplog: pytest.LogCaptureFixture, whose: str
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    caplog.set_level(logging.INFO)
    file = _built(cache_folder)
    file.unlink()  # as above
    file.write_bytes(b"of somebody else")
    folder = {"cache": cache_folder.parents[1], "namexp": cache_folder.parent, "kernels": cache_folder}[whose]
    os.chown(folder, NOBODY, NOBODY)
    assert _again() == 42
    reason = "belongs to another user" if whose == "cache" else "is no folder of this user"
    assert f"compiled kernels are not kept: {folder} {reason}" in caplog.messages
    assert file.read_bytes() == b"of somebody else"


@needs_compiler
def test_a_kernel_of_another_user_is_compiled_again(cache_folder: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    file = _built(cache_folder)
    os.chown(file, NOBODY, NOBODY)
    assert _again() == 42
    (file,) = cache_folder.glob("*.so")
    assert file.stat().st_uid == 0


@needs_compiler
@pytest.mark.parametrize("how", ["open to all", "a link"])
def test_a_folder_that_others_could_exchange_is_not_used(
    cache_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.INFO)
    cache_folder.parent.mkdir()
    if how == "a link":
        (tmp_path / "elsewhere").mkdir()
        cache_folder.symlink_to(tmp_path / "elsewhere")
        reason = f"{cache_folder} is no folder of this user"
    else:
        tmp_path.chmod(0o777)
        reason = f"{tmp_path} may be written by every user"
    assert _again() == 42
    assert f"compiled kernels are not kept: {reason}" in caplog.messages
    assert list(tmp_path.rglob("*.so")) == []
    tmp_path.chmod(0o1777)  # as /tmp is
    if how == "open to all":
        assert _again() == 42
        assert len(list(cache_folder.glob("*.so"))) == 1


@needs_compiler
def test_what_a_killed_process_was_compiling_is_removed(cache_folder: Path) -> None:
    _built(cache_folder)
    left = cache_folder / ".0123456789abcdef0123456789abcdef.so.ab12cd34"
    left.mkdir()
    (left / "kernel.cpp").write_text(ANSWER)
    _again()
    assert [path.suffix for path in cache_folder.iterdir()] == [".so"]


@needs_compiler
def test_ctrl_c_ends_the_compilers(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    compiling = f"*kernel.cpp*) echo $$ >> {tmp_path}/pids; sleep 100;;"
    slow.write_text(f'#!/bin/sh\ncase $* in {compiling} *) exec c++ "$@";; esac\n')
    slow.chmod(0o755)
    monkeypatch.setenv("CXX", str(slow))

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pids").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load({"an answer": ANSWER, "another": f"{ANSWER} // another"})
    assert time.monotonic() - began < 60, "they were not awaited"
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert list(cache_folder.iterdir()) == []


# --- compilers that are none ------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("g++ '", r"CXX \(= g\+\+ '\) is no command: No closing quotation"),
        ("echo", "says that it has compiled, and wrote nothing"),
        ("true", "says that it has compiled, and wrote nothing"),
        ("false", "failed: "),
        ("/dev/null", r"no C\+\+ compiler was found"),
        ("sh -c 'printf \"\\\\377\" >&2; exit 1'", "failed: "),
    ],
)
def test_a_command_that_is_no_compiler_is_told_in_one_line(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch, named: str, reason: str
) -> None:
    monkeypatch.setenv("CXX", named)
    with pytest.raises(UnavailableError, match=reason) as caught:
        load({"an answer": ANSWER})
    assert "\n" not in str(caught.value)
    assert not cache_folder.exists() or list(cache_folder.iterdir()) == []


@needs_compiler
@pytest.mark.parametrize("named", ["", " "])
def test_a_variable_that_names_nothing_is_none(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("CXX", named)
    assert _again() == 42


# --- several compilers ----------------------------------------------------------------------------------


def _program(folder: Path, name: str, text: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


BREAKS = {
    "cannot be run": "echo 'xcrun: error: no developer tools' >&2; exit 1",
    "cannot compile": 'case $* in *kernel.cpp*) echo "error: internal" >&2; exit 4;; '
    '*) exec c++ -DX "$@";; esac',
    "writes nothing": 'case $* in *kernel.cpp*) ;; *) exec c++ -DX "$@";; esac',
    "writes what cannot be loaded": 'case $* in *kernel.cpp*) for last; do :; done; echo no > "$last";; '
    '*) exec c++ -DX "$@";; esac',
}


@needs_compiler
@pytest.mark.parametrize("breaks", sorted(BREAKS))
def test_a_compiler_that_fails_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, breaks: str
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "bin").mkdir()
    bad = _program(tmp_path / "bin", "g++", BREAKS[breaks])
    good = _program(tmp_path / "bin", "clang++", f'exec {shutil.which("c++")} "$@"')
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert _again() == 42
    told = [line for line in caplog.messages if line.endswith(f"; trying {good}")]
    assert len(told) == 1
    assert str(bad) in told[0] or "cannot be loaded" in told[0]
    caplog.clear()
    assert _again() == 42
    assert [line for line in caplog.messages if "compil" in line] == [], "what the next has compiled is kept"


@needs_compiler
def test_where_all_fail_the_best_ones_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_compilers(tmp_path, monkeypatch)
    for name in ("clang++", "g++"):
        _program(tmp_path, name, f"echo 'error: {name} is broken' >&2; exit 1")
    with pytest.raises(UnavailableError, match=r"g\+\+ failed: error: g\+\+ is broken"):
        load({"an answer": ANSWER})


@needs_compiler
def test_a_named_compiler_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(_program(tmp_path, "mine", "echo 'error: mine is broken' >&2; exit 1")))
    with pytest.raises(UnavailableError, match="mine is broken"):
        load({"an answer": ANSWER})


@pytest.mark.parametrize(
    ("system", "programs", "expected"),
    [
        ("posix", ["zig", "c++", "clang++", "g++"], ["g++", "clang++", "c++", "zig c++"]),
        ("posix", ["clang++-14", "cl"], []),
        ("nt", ["zig", "clang-cl", "clang++", "g++"], ["clang++", "clang-cl --driver-mode=g++", "zig c++"]),
    ],
)
@pytest.mark.parametrize("package", [True, False])
def test_which_commands_are_compilers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, programs: list[str], expected: list[str],
    package: bool,
) -> None:  # fmt: skip
    for name in programs:
        _program(tmp_path, name, "")
    monkeypatch.setattr(discovery, "find_spec", lambda _: package or None)
    found = [" ".join(command) for command in discovery.commands(str(tmp_path), discovery.SYSTEMS[system])]
    last = [f"{sys.executable} -m ziglang c++"] if package else []
    assert found == [*(f"{tmp_path}/{command}" for command in expected), *last]


def test_windows_is_asked_for_what_it_knows() -> None:
    windows, posix = discovery.SYSTEMS["nt"], discovery.SYSTEMS["posix"]
    assert (windows.suffix, posix.suffix) == (".dll", ".so")
    assert set(posix.flags) - set(windows.flags) == {"-fPIC", "-pthread", "-fvisibility=hidden"}
    assert set(windows.flags) <= set(posix.flags)


@needs_compiler
def test_a_compiler_that_knows_no_native_flag_is_asked_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = 'case $* in *=native*) echo "error: unknown" >&2; exit 1;; esac; exec c++ "$@"'
    monkeypatch.setenv("CXX", str(_program(tmp_path, "old", refuses)))
    assert _again() == 42
    assert "native" not in " ".join(next(compiler._compilers()).flags)


def test_gcc_on_windows_is_refused(tmp_path: Path) -> None:
    program = _program(tmp_path, "g++", "echo '#define _WIN32 1'")
    with pytest.raises(UnavailableError, match="is GCC on Windows, which does not align vectors"):
        Compiler((str(program),))


# --- without a compiler -----------------------------------------------------------------------------------


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
    assert cache.folder is compiler._folder
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load({"an answer": ANSWER})[0].answer() == 42


def _hide_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(discovery, "find_spec", lambda _: None)


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
        "was found (g++, clang++, c++, zig, Python's ziglang); install g++ or clang++, "
        "or pip install 'namexp[compiler]'"
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
