"""What Hydra complains of, in the words of people."""

from __future__ import annotations

import pytest
from hydra.errors import MissingConfigException

from namexp.conf_dir import conf_dir
from namexp.schema.composition import explain


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Could not find 'hydra/launcher/joblib'", "hydra/launcher=joblib needs a launcher"),
        ("Could not find 'hydra/launcher/submitit_local'", "hydra/launcher=submitit_local needs a launcher"),
        ("In 'hydra/launcher/slurm': Could not load 'hydra/launcher/submitit_slurm'.", "needs a launcher"),
        ("In 'config': Could not find 'hydra/sweeper/optuna'", "whose search is sweep=search"),
    ],
)
def test_what_comes_with_another_package_is_named_with_its_command(said: str, expected: str) -> None:
    told = str(explain(MissingConfigException(said, "x"), [], conf_dir()))
    assert expected in told
    extra = "search" if "optuna" in said else "parallel"
    assert told.endswith(f"pip install 'namexp[{extra}]'.")


def test_what_nobody_has_is_still_told_by_the_nearest_name() -> None:
    told = str(explain(MissingConfigException("Could not find 'hydra/launcher/slrm'", "x"), [], conf_dir()))
    assert told == "hydra/launcher=slrm is not an option of hydra/launcher; did you mean 'slurm'?"
