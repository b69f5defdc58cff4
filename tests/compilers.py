"""Whether this machine can compile kernels. A kernel that does not compile is a failure, not a skip."""

from __future__ import annotations

import shutil

import pytest

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler on the PATH"
)
