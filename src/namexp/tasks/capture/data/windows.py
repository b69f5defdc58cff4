"""Windows of recordings, as a training takes them.

Letters: B batch, L samples, R receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from namexp.tasks.capture.data.recordings import Part


class Batch(NamedTuple):
    """Input (B, R + ny - 1) and the target of its last ny samples (B, ny)."""

    input: Tensor
    target: Tensor


class Picked(NamedTuple):
    """The windows of a batch by their (B,) indices: what goes to a device that holds the recordings."""

    indices: Tensor


class WindowDataset(Dataset[Batch]):
    """Windows that follow one another without overlap of their targets.

    Window i of a part is input[i ny : i ny + R + ny - 1] with target[i ny + R - 1 : + ny]; the rest
    at a part's end that is shorter than ny is left out. The dataset is asked for whole batches.
    """

    def __init__(self, parts: Sequence[Part], *, receptive_field: int, ny: int) -> None:
        self._parts, self._receptive_field, self._ny = parts, receptive_field, ny
        inputs, targets = [], []
        for part in parts:
            x, y = torch.from_numpy(part.input), torch.from_numpy(part.target)
            if x.numel() >= receptive_field + ny - 1:
                # views: the windows of a part share its memory
                inputs.append(x.unfold(0, receptive_field + ny - 1, ny))
                targets.append(y[receptive_field - 1 :].unfold(0, ny, ny))
        self._inputs, self._targets = inputs, targets
        counts = torch.tensor([x.shape[0] for x in inputs])
        self._part = torch.repeat_interleave(torch.arange(len(inputs)), counts)
        self._row = torch.cat([torch.arange(int(n)) for n in counts])

    def __len__(self) -> int:
        return self._part.numel()

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a batch at once."""
        picked = [(int(self._part[i]), int(self._row[i])) for i in indices]
        return Batch(
            torch.stack([self._inputs[p][r] for p, r in picked]),
            torch.stack([self._targets[p][r] for p, r in picked]),
        )

    def resident(self, device: torch.device) -> ResidentWindows:
        """The same windows in the memory of ``device``."""
        parts = [part for part in self._parts if part.input.size >= self._receptive_field + self._ny - 1]
        lengths = torch.tensor([0, *(part.input.size for part in parts)])
        first_samples = lengths.cumsum(0)[self._part]
        return ResidentWindows(
            torch.cat([torch.from_numpy(part.input) for part in parts]).to(device),
            torch.cat([torch.from_numpy(part.target) for part in parts]).to(device),
            (first_samples + self._row * self._ny).to(device),
            receptive_field=self._receptive_field,
            ny=self._ny,
        )


class PickedWindows(Dataset[Picked]):
    """As many windows as another dataset has, by their indices alone."""

    def __init__(self, num_windows: int) -> None:
        self._num_windows = num_windows

    def __len__(self) -> int:
        return self._num_windows

    def __getitem__(self, index: int) -> Picked:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Picked:
        """Name a batch."""
        return Picked(torch.tensor(indices))


class ResidentWindows:
    """Recordings that stay in a device's memory, one after the other, and the windows cut from them."""

    def __init__(
        self, input: Tensor, target: Tensor, starts: Tensor, *, receptive_field: int, ny: int
    ) -> None:
        """Take what lies on the device.

        Args:
            input: (L,) of all recordings.
            target: (L,) that belongs to it.
            starts: the first sample of every window.
            receptive_field: R of the network.
            ny: samples of a window's target.
        """
        self._input, self._target, self._starts = input, target, starts
        self._within = torch.arange(receptive_field + ny - 1, device=starts.device)
        self._context = receptive_field - 1

    def gather(self, picked: Picked) -> Batch:
        """The windows of a batch; the device is not waited for."""
        indices = picked.indices.to(self._starts.device, non_blocking=True)
        samples = self._starts[indices][:, None] + self._within
        return Batch(self._input[samples], self._target[samples[:, self._context :]])


class ValidationDataset(Dataset[Batch]):
    """Each recording's validation part as one batch of one, at its full length."""

    def __init__(self, parts: Sequence[Part], *, receptive_field: int) -> None:
        self._batches = [
            Batch(
                torch.from_numpy(part.input)[None],
                torch.from_numpy(part.target)[None, receptive_field - 1 :],
            )
            for part in parts
        ]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        return self._batches[index]
