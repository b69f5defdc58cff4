"""Names of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from namexp.engine.telling import NAME_LENGTH, run_name
from namexp.engine.training import Row
from namexp.sweeps.origin import Origin

ALONE = Origin(None, None, ())
PACK = (Row("small", "_packed_0", {"channels": 3}), Row("large", "_packed_1", {"channels": 8}))
A1 = (Row("wavenet", "", {"channels": [16, 8]}),)
OTHER = (Row("generator", "", {}),)


@pytest.mark.parametrize(
    ("kind", "rows", "job", "name"),
    [
        ("packed_wavenet", PACK, ALONE, "packed_wavenet 3-8 seed 4"),
        ("wavenet", A1, ALONE, "wavenet 16/8 seed 4"),
        ("hifigan", OTHER, ALONE, "hifigan seed 4"),
        ("wavenet", A1, Origin(Path("s"), "2", ("optimizer.lr=0.1", "seed=4")), "2: lr=0.1 seed=4"),
        ("packed_wavenet", PACK, Origin(Path("s"), "0", ("+model.x={a:1}", "model=b")), "0: x={a:1} model=b"),
        ("packed_wavenet", PACK, Origin(Path("s"), "0", ()), "0: packed_wavenet 3-8 seed 4"),
    ],
)
def test_a_name_says_what_tells_the_run_from_the_others(
    kind: str, rows: tuple[Row, ...], job: Origin, name: str
) -> None:
    assert run_name(kind, rows, 4, job) == name


def test_a_name_stays_short() -> None:
    name = run_name("wavenet", A1, 0, Origin(Path("s"), "7", ("model.layer_arrays=" + "[1,2]" * 50,)))
    assert len(name) == NAME_LENGTH
    assert name.startswith("7: layer_arrays=[1,2]")
    assert name.endswith("...")
