"""What is tested here are the kernels, also where the environment keeps everything else to torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from namexp.kernels import compiler


@pytest.fixture(autouse=True, scope="package")
def _kernels_on() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NAMEXP_KERNELS", raising=False)
        yield


@pytest.fixture
def narrower_vectors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Code for a machine without AVX-512."""
    if "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this machine has no AVX-512: the other tests are about its vectors")
    monkeypatch.setenv("CXX", "g++ -mno-avx512f")
    compiler._found.cache_clear()
    yield
    compiler._found.cache_clear()
