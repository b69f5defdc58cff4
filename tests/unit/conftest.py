"""For the unit tests: tiny tensors, for which a second thread only waits."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread(_same_random_state: None) -> None:
    torch.set_num_threads(1)  # the fixture above restores the number
