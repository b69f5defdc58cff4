"""Running the commands as a user does."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from namexp.audio.wav import write_wav
from namexp.engine.execution import Execution
from namexp.sweeps.record import SweepRecord

RATE = 16000


CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # of compiled kernels


@pytest.fixture
def command(
    process: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A command as a user runs it; modules with many may run them in their own process."""
    return process


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m namexp.<name> arguments`` in an empty directory, on one thread.

    ``environment`` changes variables of the command's environment.
    """

    def run(
        name: str, *arguments: object, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        own = {
            "WANDB_MODE": "offline",
            "OMP_NUM_THREADS": "1",
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": CACHE,
        }
        return subprocess.run(
            [sys.executable, "-m", f"namexp.{name}", *map(str, arguments)],
            cwd=tmp_path, env={**os.environ, **own, **(environment or {})},
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    return run


@pytest.fixture
def called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, which has imported everything: for tests of what a command does.

    What a process would forget is forgotten: Hydra's and logging's state, warnings that are no errors.
    """

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        words = [f"namexp.{name}", *map(str, arguments)]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of processes that it starts
        monkeypatch.setattr(sys, "argv", words)
        torch.set_num_threads(1)
        module = importlib.import_module(f"namexp.{name}")
        if name == "train":
            monkeypatch.setattr(module, "EXECUTION", Execution(module.EXECUTION.tasks))
        capsys.readouterr()
        with _own_logging(), warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                status = module.main()
            except SystemExit as end:
                status = end.code
            finally:
                GlobalHydra.instance().clear()
                SweepRecord.started = None
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return run


@contextmanager
def _own_logging() -> Iterator[None]:
    before, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers[:] = []
    try:
        yield
    finally:
        for handler in logging.root.handlers:
            handler.close()
        logging.root.handlers[:] = before
        logging.root.setLevel(level)


def wait_until(begun: Callable[[], bool], process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Wait for something that ``process`` does; it must neither end before nor take for ever."""
    deadline = time.monotonic() + 300
    while not begun():
        assert process.poll() is None, f"it ended with {process.returncode} before that"
        assert time.monotonic() < deadline, "not in five minutes"
        time.sleep(0.01)


def num_rows(metrics: Path) -> int:
    """How long metrics.csv is by now, its header included."""
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


def synthetic_pair(seconds: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise bursts and what a small amp makes of them: enough to learn from in seconds."""
    random = np.random.RandomState(seed)
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    x = 0.3 * np.sin(2 * np.pi * 110 * t * (1 + 0.2 * np.sin(3 * t))) + 0.1 * random.standard_normal(n)
    y = np.tanh(3.0 * (x + 0.4 * np.concatenate([[0.0], x[:-1]]))) * 0.5
    return x.astype(np.float32), y.astype(np.float32)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """(input.wav, target.wav), 6 s at 16 kHz."""
    x, y = synthetic_pair(6.0)
    paths = tmp_path / "input.wav", tmp_path / "target.wav"
    for path, samples in zip(paths, (x, y), strict=True):
        write_wav(path, samples, RATE)
    return paths


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with x.wav and y.wav, for several tests."""
    path = tmp_path_factory.mktemp("recording")
    for name, samples in zip(("x.wav", "y.wav"), synthetic_pair(6.0), strict=True):
        write_wav(path / name, samples, RATE)
    return path


# --- pages in a browser ----------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a report without a network; at the end nothing may have been complained about."""
    complaints: list[str] = []
    contexts = []

    def open_(path: Path, width: int = 1400, height: int = 1000, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("#table tbody tr td")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
