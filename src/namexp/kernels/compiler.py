"""Compiling a kernel for this machine when it is first used, and finding it again.

A kernel's file name holds a digest of everything that it depends on: its text, the flags, the
compiler's version and the instruction set of this machine. One from another machine or another
version of namexp is therefore never loaded. ``kernels.cache`` keeps the files.
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
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from namexp.atomic import scratch
from namexp.errors import one_line
from namexp.kernels.cache import find, keep
from namexp.kernels.cache import folder as _folder
from namexp.process.children import end_children, output

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
        """Keep the shared library of ``source``; a reader sees all of it or nothing.

        Raises:
            UnavailableError: the compiler refuses, or leaves nothing.
        """
        with scratch(library) as place:
            text, built = place / "kernel.cpp", place / "kernel.so"
            text.write_text(source)
            _output([*self.command, *self.flags, f"-I{NATIVE}", str(text), "-o", str(built)])
            if not built.is_file():
                raise UnavailableError(f"{self.command[0]} says that it has compiled, and wrote nothing")
            keep(built, library)


def load(sources: dict[str, str]) -> list[ctypes.CDLL]:
    """The compiled libraries of C++ texts that include files of ``native/``.

    Args:
        sources: text by what it is for, in a few words.

    Raises:
        UnavailableError: there is no compiler, it fails, or kernels are switched off.
    """
    libraries = {text: _library_file(text) for text in sources.values()}
    found = {text: find(library) for text, library in libraries.items()}
    missing = {what: text for what, text in sources.items() if found[text] is None}
    if missing:
        _compile_all(missing, libraries)
        found |= {text: find(libraries[text]) for text in missing.values()}
    return [_load(found[text] or libraries[text]) for text in sources.values()]


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
    log.info("compiling for this machine, once: %s", ", ".join(missing))
    start = time.monotonic()
    compiler = _compiler()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = [pool.submit(compiler.compile, text, libraries[text]) for text in set(missing.values())]
        try:
            for each in compiled:
                each.result()
        except BaseException:  # Ctrl-C too: what is compiled now would be awaited
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(each.done() for each in compiled):
                end_children()
                time.sleep(0.01)
            raise
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
    candidates = [_words(named)] if named.strip() else [["c++"], ["g++"], ["clang++"]]
    for command in candidates:
        program = shutil.which(command[0], path=path)
        if program:
            return Compiler((program, *command[1:]))
    names = named or "c++, g++, clang++"
    raise UnavailableError(f"no C++ compiler was found ({names}); install g++ or clang++")


def _words(named: str) -> list[str]:
    try:
        return shlex.split(named)
    except ValueError as error:
        raise UnavailableError(f"CXX (= {named}) is no command: {one_line(error)}") from None


@cache
def _native_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(NATIVE.glob("*.hpp")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _output(command: list[str]) -> str:
    """What ``command`` prints.

    Raises:
        UnavailableError: it fails, with its first line of complaint.
    """
    try:
        return output(command, COMPILE_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        complaint = next((line for line in lines if "error" in line), lines[-1] if lines else str(error))
        raise UnavailableError(f"{command[0]} failed: {complaint.strip()}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} failed: {one_line(error)}") from None
