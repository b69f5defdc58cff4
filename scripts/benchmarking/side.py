"""What both programs do alike in a comparison: take the same weights and batches, be timed.

Needs torch and numpy, but neither namexp nor the peer. Letters: B batch, S submodels, L samples,
R receptive field.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarking.serving import peak_memory, serve


class Handover(NamedTuple):
    """What both sides begin with.

    Attributes:
        weights: of every submodel, in the order of a .nam file.
        inputs: (N, B, L) windows to train on, or (L,) samples to play.
        targets: (N, B, L - R + 1); empty where nothing is trained.
    """

    weights: list[np.ndarray]
    inputs: np.ndarray
    targets: np.ndarray

    def write(self, path: str) -> None:
        """Write it as an .npz."""
        named = {f"weights_{i}": weights for i, weights in enumerate(self.weights)}
        np.savez(path, inputs=self.inputs, targets=self.targets, **named)

    @classmethod
    def read(cls, path: str) -> Handover:
        """Read what ``write`` wrote."""
        with np.load(path) as arrays:
            count = sum(name.startswith("weights_") for name in arrays.files)
            weights = [arrays[f"weights_{i}"] for i in range(count)]
            return cls(weights, arrays["inputs"], arrays["targets"])


class Side(ABC):
    """One program in a comparison. A worker serves one model and is then thrown away."""

    def __init__(self) -> None:
        self._all_threads = torch.get_num_threads()
        self._device = torch.device("cpu")
        self._inputs = self._targets = torch.empty(0)
        self._step = 0

    # --- what each program does in its own way ---------------------------------------------------

    @abstractmethod
    def build(self, model: str, weights: list[np.ndarray], device: torch.device) -> None:
        """Build the network with these weights, and what trains it."""

    @property
    @abstractmethod
    def num_widths(self) -> int:
        """Of a slimmable network, of which a step trains one; 1 for every other."""

    @abstractmethod
    def train_on(self, inputs: Tensor, targets: Tensor, width: int) -> Tensor:
        """Do one whole training step: (B, L) and (B, L - R + 1) to the loss before it."""

    @abstractmethod
    def play(self, samples: Tensor) -> Tensor:
        """(L,) samples from silence to (S, L), as the program plays a whole recording."""

    # --- requests --------------------------------------------------------------------------------

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """The requests that a worker answers."""
        return {"load": self.load, "steps": self.steps, "render": self.render}

    def load(self, model: str, handover: str, device: str) -> dict[str, Any]:
        """Build ``model`` from what the file holds."""
        given = Handover.read(handover)
        self._device = torch.device(device)
        self._inputs = torch.from_numpy(given.inputs).to(self._device)
        self._targets = torch.from_numpy(given.targets).to(self._device)
        self.build(model, given.weights, self._device)
        return {"torch": torch.__version__}

    def steps(self, steps: int, threads: str, full_width: bool = False) -> dict[str, Any]:
        """Train for so many steps.

        A slimmable network draws its widths at random. Here they come in turn, so that equal counts
        are equal work, or all steps are at full width.

        Returns:
            Seconds per step (``wall``; ``cpu`` is the process' time), the losses, and by how many
            bytes the peak of the memory has grown.
        """
        self._use_threads(threads)
        memory = self._peak_memory()
        losses = []
        clock = _Clock(self._device)
        for _ in range(steps):
            batch = self._step % len(self._inputs)
            width = self.num_widths - 1 if full_width else self._step % self.num_widths
            losses.append(self.train_on(self._inputs[batch], self._targets[batch], width))
            self._step += 1
        taken = clock.per(steps)
        grown = self._peak_memory() - memory
        return {**taken, "memory": grown, "losses": [loss.item() for loss in losses]}

    def render(self, threads: str, keep: str | None = None) -> dict[str, Any]:
        """Play the samples.

        Args:
            threads: one or all.
            keep: where to write what was played, as .npy.

        Returns:
            Seconds (``wall``, ``cpu``), and by how many bytes the peak of the memory has grown.
        """
        self._use_threads(threads)
        memory = self._peak_memory()
        clock = _Clock(self._device)
        played = self.play(self._inputs)
        taken = clock.per(1)
        grown = self._peak_memory() - memory
        if keep is not None:
            np.save(Path(keep), played.cpu().numpy())
        return {**taken, "memory": grown}

    def _use_threads(self, threads: str) -> None:
        torch.set_num_threads(1 if threads == "one" else self._all_threads)

    def _peak_memory(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return peak_memory()


class _Clock:
    """Started when made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._wait()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def per(self, count: int) -> dict[str, float]:
        """Seconds since the start, divided by ``count``."""
        self._wait()
        wall = time.perf_counter() - self._wall
        return {"wall": wall / count, "cpu": (time.process_time() - self._cpu) / count}

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def serve_side(side: Side) -> None:
    """Answer requests for ``side``."""
    serve(side.handlers())
