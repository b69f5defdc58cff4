"""Compiling a kernel for this machine when it is first used, and finding it again.

A kernel's file name holds a digest of everything that it depends on: its text, the flags, the
compiler's version and the instruction set of this machine. One from another machine or another
version of namexp is therefore never loaded. ``kernels.cache`` keeps the files, and
``kernels.discovery`` names the compilers; one that fails is followed by the next. What came compiled with the
package (``kernels.shipped``) is not compiled again.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from namexp.atomic import scratch
from namexp.errors import one_line
from namexp.kernels import discovery
from namexp.kernels.cache import find, keep
from namexp.kernels.cache import folder as _folder
from namexp.kernels.discovery import NATIVE as NATIVE_FLAGS
from namexp.kernels.discovery import SYSTEM
from namexp.kernels.shipped import NATIVE, find_shipped, native_digest
from namexp.process.children import end_children, output

log = logging.getLogger(__name__)

COMPILE_SECONDS = 600  # a compiler that needs longer has hung; Zig compiles its libraries before


class UnavailableError(Exception):
    """A kernel cannot be had; the message says why, in one line."""


class Compiler:
    """A C++ compiler with the flags for this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        """Ask it what it is.

        Raises:
            UnavailableError: it cannot be run, or is none.
        """
        self.command = tuple(command)
        version = _output([*command, "--version"])
        for native in NATIVE_FLAGS:
            try:
                macros = _output([*command, *native, "-dM", "-E", "-x", "c++", os.devnull])
            except UnavailableError as error:
                refused = error
                continue
            self.flags = (*SYSTEM.flags, *native)
            _check_target(command, macros)
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
            text, built = place / "kernel.cpp", place / f"kernel{SYSTEM.suffix}"
            text.write_text(source)
            _output([*self.command, *self.flags, f"-I{NATIVE}", str(text), "-o", str(built)])
            if not built.is_file():
                raise UnavailableError(f"{self.command[0]} says that it has compiled, and wrote nothing")
            keep(built, library)

    def find(self, source: str) -> Path | None:
        """Its library of ``source``; None where it has compiled none."""
        return find(self.library(source))

    def library(self, source: str) -> Path:
        """What its library of ``source`` is called."""
        digest = hashlib.sha256(f"{self.digest}{native_digest()}{source}".encode()).hexdigest()
        return _folder() / f"{digest[:32]}{SYSTEM.suffix}"


def _check_target(command: Sequence[str], macros: str) -> None:
    if "_WIN32 " in macros and "__clang__ " not in macros:
        raise UnavailableError(
            f"{command[0]} is GCC on Windows, which does not align vectors; install clang++"
        )


def load(sources: dict[str, str]) -> list[ctypes.CDLL]:
    """The compiled libraries of C++ texts that include files of ``native/``.

    All come from one hand: from the package, if it brings all of them, else from the first compiler that has
    compiled them before, else from the first that can. What ``CXX`` names comes before the package.

    Args:
        sources: text by what it is for, in a few words.

    Raises:
        UnavailableError: there is no compiler, all fail, or kernels are switched off.
    """
    for find_one in _places():
        found = [find_one(text) for text in sources.values()]
        libraries = [file for file in found if file]
        if len(libraries) == len(found):
            with contextlib.suppress(UnavailableError):  # the next place may have one that loads
                return [_load(file) for file in libraries]
    return _load_compiled(sources)


def _places() -> Iterator[Callable[[str], Path | None]]:
    """Where libraries may lie, the best place first: each finds that of a text.

    Raises:
        UnavailableError: kernels are switched off.
    """
    if switched_off():
        raise UnavailableError("NAMEXP_KERNELS is off")
    if not _named():
        yield find_shipped
    with contextlib.suppress(UnavailableError):  # no compiler: who has to compile says so
        for compiler in _compilers():
            yield compiler.find


def _load_compiled(sources: dict[str, str]) -> list[ctypes.CDLL]:
    """As ``load``, with the first compiler that can; what the user is told is why the best one cannot."""
    reasons: list[UnavailableError] = []
    tried = set()
    for command in _commands():
        try:
            compiler = _compiler_of(command)
            if isinstance(compiler, UnavailableError):
                raise compiler
            if compiler.digest in tried:
                continue
            if reasons:
                log.info("%s; trying %s", reasons[-1], shlex.join(command))
            tried.add(compiler.digest)
            _compile_missing(compiler, sources)
            libraries = [compiler.library(text) for text in sources.values()]
            return [_load(find(library) or library) for library in libraries]
        except UnavailableError as error:
            reasons.append(error)
    raise reasons[0]


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


def _compile_missing(compiler: Compiler, sources: dict[str, str]) -> None:
    missing = {what: text for what, text in sources.items() if not compiler.find(text)}
    if not missing:
        return
    log.info("compiling for this machine, once: %s", ", ".join(missing))
    start = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            compiled = [
                pool.submit(compiler.compile, text, compiler.library(text)) for text in set(missing.values())
            ]
            for each in compiled:
                each.result()
        except BaseException:  # Ctrl-C too: what is compiled now would be awaited
            pool.shutdown(wait=False, cancel_futures=True)
            waiting = threading.Thread(target=pool.shutdown)
            waiting.start()
            while waiting.is_alive():
                end_children()
                waiting.join(0.01)
            raise
    log.info("compiled in %.0f s", time.monotonic() - start)


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


def _compilers() -> Iterator[Compiler]:
    """The compilers that can be run, the best first, each asked when its turn comes.

    Raises:
        UnavailableError: there is none.
    """
    found = map(_compiler_of, _commands())
    return (compiler for compiler in found if isinstance(compiler, Compiler))


@cache
def _compiler_of(command: tuple[str, ...]) -> Compiler | UnavailableError:
    try:
        return Compiler(command)
    except UnavailableError as error:
        return error


def _commands() -> list[tuple[str, ...]]:
    """The compiler named by CXX and no other, or all that this machine has, the best first.

    Raises:
        UnavailableError: there is none.
    """
    if switched_off():
        raise UnavailableError("NAMEXP_KERNELS is off")
    named, path = _named(), os.environ.get("PATH", "")
    if named:
        program, *arguments = _words(named)
        found = shutil.which(program, path=path)
        commands = [(found, *arguments)] if found else []
    else:
        commands = list(discovery.commands(path))
    if commands:
        return commands
    raise UnavailableError(
        f"no C++ compiler was found ({named or discovery.names()}); install g++ or clang++, "
        "or pip install 'namexp[compiler]'"
    )


def _named() -> str:
    return os.environ.get("CXX", "").strip()


def _words(named: str) -> list[str]:
    try:
        return shlex.split(named)
    except ValueError as error:
        raise UnavailableError(f"CXX (= {named}) is no command: {one_line(error)}") from None


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
