"""Names of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from namexp.engine.telling import NAME_LENGTH, run_name
from namexp.sweeps.job import Job

ALONE = Job(None, None, ())
PACK: list[dict[str, Any]] = [{"channels": [3]}, {"channels": [8]}]
A1: list[dict[str, Any]] = [{"channels": [16, 8]}]


@pytest.mark.parametrize(
    ("kind", "submodels", "job", "name"),
    [
        ("packed_wavenet", PACK, ALONE, "packed_wavenet 3-8 seed 4"),
        ("wavenet", A1, ALONE, "wavenet 16/8 seed 4"),
        ("wavenet", A1, Job(Path("s"), "2", ("optimizer.lr=0.1", "seed=4")), "2: lr=0.1 seed=4"),
        ("packed_wavenet", PACK, Job(Path("s"), "0", ("+model.x={a:1}", "model=b")), "0: x={a:1} model=b"),
        ("packed_wavenet", PACK, Job(Path("s"), "0", ()), "0: packed_wavenet 3-8 seed 4"),
    ],
)
def test_a_name_says_what_tells_the_run_from_the_others(
    kind: str, submodels: list[dict[str, Any]], job: Job, name: str
) -> None:
    assert run_name(kind, submodels, 4, job) == name


def test_a_name_stays_short() -> None:
    name = run_name("wavenet", A1, 0, Job(Path("s"), "7", ("model.layer_arrays=" + "[1,2]" * 50,)))
    assert len(name) == NAME_LENGTH
    assert name.startswith("7: layer_arrays=[1,2]")
    assert name.endswith("...")
