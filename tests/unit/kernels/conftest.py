"""What is tested here are the kernels, also where the environment keeps everything else to torch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def _kernels_on() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NAMEXP_KERNELS", raising=False)
        yield
