"""Compiling a kernel for this machine when it is first used, and finding it again.

A kernel's file name holds a digest of everything that it depends on: its text, the flags, the
compiler's version and the instruction set of this machine. One from another machine or another
version of namexp is therefore never loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from namexp.errors import one_line

log = logging.getLogger(__name__)

NATIVE = Path(__file__).parent / "native"
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-shared",
    "-pthread",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
)
COMPILE_SECONDS = 300  # a compiler that needs longer has hung


class UnavailableError(Exception):
    """A kernel cannot be had; the message says why, in one line."""


class Compiler:
    """The machine's C++ compiler with the flags for this machine."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Ask it what it is.

        Raises:
            UnavailableError: it cannot be run, or knows no flag for this machine.
        """
        self.command = command
        version = _output([*command, "--version"])
        for native in ("-march=native", "-mcpu=native"):  # the second is Clang's on ARM
            try:
                macros = _output([*command, native, "-dM", "-E", "-x", "c++", "/dev/null"])
            except UnavailableError as error:
                refused = error
                continue
            self.flags = (*FLAGS, native)
            about = "\n".join([version, macros, platform.machine(), *self.flags])
            self.digest = hashlib.sha256(about.encode()).hexdigest()
            return
        raise refused

    def compile(self, source: str, library: Path) -> None:
        """Write the shared ``library``; a reader sees all of it or nothing.

        Raises:
            UnavailableError: the compiler refuses.
        """
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            text, built = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
            text.write_text(source)
            _output([*self.command, *self.flags, f"-I{NATIVE}", str(text), "-o", str(built)])
            os.replace(built, library)


def load(sources: dict[str, str]) -> list[ctypes.CDLL]:
    """The compiled libraries of C++ texts that include files of ``native/``.

    Args:
        sources: text by what it is for, in a few words.

    Raises:
        UnavailableError: there is no compiler, it fails, or kernels are switched off.
    """
    libraries = {text: _library_file(text) for text in sources.values()}
    missing = {what: text for what, text in sources.items() if not libraries[text].exists()}
    if missing:
        _compile_all(missing, libraries)
    return [_load(libraries[text]) for text in sources.values()]


def load_once(what: str, source: str) -> ctypes.CDLL:
    """The compiled library of one text; where it cannot be had, that is not tried again in this process.

    Raises:
        UnavailableError: as ``load``.
    """
    if switched_off():
        raise UnavailableError("NAMEXP_KERNELS is off")
    found = _found(what, source)
    if isinstance(found, UnavailableError):
        raise found
    return found


@cache
def _found(what: str, source: str) -> ctypes.CDLL | UnavailableError:
    try:
        (library,) = load({what: source})
    except UnavailableError as error:
        return error
    return library


def _compile_all(missing: dict[str, str], libraries: dict[str, Path]) -> None:
    what = ", ".join(missing)
    log.info("compiling for this machine, once: %s", what)
    start = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiler = _compiler()
        for done in [pool.submit(compiler.compile, text, libraries[text]) for text in set(missing.values())]:
            done.result()
    log.info("compiled in %.0f s", time.monotonic() - start)


def _library_file(source: str) -> Path:
    digest = hashlib.sha256(f"{_compiler().digest}{_native_digest()}{source}".encode()).hexdigest()
    return _folder() / f"{digest[:32]}.so"


@cache
def _load(library: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise UnavailableError(
            f"the compiled kernel {library} cannot be loaded ({one_line(error)}); remove it"
        ) from None


def switched_off() -> bool:
    """Whether the environment asks for torch's own operations."""
    return os.environ.get("NAMEXP_KERNELS", "on").lower() in ("off", "0", "false", "no")


def _compiler() -> Compiler:
    """The compiler named by CXX, or the first that is on the PATH.

    Raises:
        UnavailableError: there is none.
    """
    if switched_off():
        raise UnavailableError("NAMEXP_KERNELS is off")
    return _compiler_of(os.environ.get("CXX", ""), os.environ.get("PATH", ""))


@cache
def _compiler_of(named: str, path: str) -> Compiler:
    if os.name == "nt":
        raise UnavailableError("kernels are not compiled on Windows")
    candidates = [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]
    for command in candidates:
        program = shutil.which(command[0], path=path)
        if program:
            return Compiler((program, *command[1:]))
    names = named or "c++, g++, clang++"
    raise UnavailableError(f"no C++ compiler was found ({names}); install g++ or clang++")


@cache
def _native_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(NATIVE.glob("*.hpp")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


@cache
def _folder() -> Path:
    """Where compiled kernels are kept: the user's cache, else a folder that lasts as long as the process."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root, "namexp", "kernels")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        log.info("compiled kernels are not kept: %s", one_line(error))
        return Path(_temporary_folder().name)


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="namexp-kernels-")


def _output(command: list[str]) -> str:
    """What ``command`` prints.

    Raises:
        UnavailableError: it fails, with its first line of complaint.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        complaint = next((line for line in lines if "error" in line), lines[-1] if lines else str(error))
        raise UnavailableError(f"{command[0]} failed: {complaint.strip()}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} failed: {one_line(error)}") from None
    return done.stdout
