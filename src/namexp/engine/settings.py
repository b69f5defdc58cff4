"""What a training sets for its whole process, and what must be there for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from namexp.engine.processes import check_processes
from namexp.errors import UserError
from namexp.schema.trainer import TrainerConfig


def check_hardware(trainer: TrainerConfig) -> None:
    """The devices and processes that were asked for must be there.

    Raises:
        UserError: they are not.
    """
    found = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.accelerator == "gpu" and not found:
        raise UserError(
            "trainer.accelerator (= gpu): torch finds no GPU on this machine; use trainer=cpu, or "
            "install a build of torch for your GPU."
        )
    check_processes(trainer)


@contextmanager
def torch_settings(trainer: TrainerConfig) -> Iterator[None]:
    """What a training sets for the whole process, put back for the next job of a sweep."""
    threads, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    tf32 = torch.backends.cudnn.allow_tf32
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # a module with a property
    filled = memory.fill_uninitialized_memory
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    elif trainer.devices > 1:  # the processes share the cores
        torch.set_num_threads(max(1, threads // trainer.devices))
    if trainer.world_size > 1:  # or Lightning chooses, and it never goes back
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    # precision "32" means it: cuDNN would otherwise round convolutions to 10 bits
    torch.backends.cudnn.allow_tf32 = False
    # nothing reads memory that it did not write (the tests have NaN there), and filling it takes time
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if variable is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = variable
        torch.backends.cudnn.allow_tf32 = tf32
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = filled
