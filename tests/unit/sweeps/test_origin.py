"""Whether a run directory belongs to a sweep, and what its job chose."""

from __future__ import annotations

from pathlib import Path

import pytest

from namexp.errors import UserError
from namexp.sweeps.origin import LoggedAs, Origin, logged_as, origin_of


def _sweep(root: Path, subdir: str) -> Path:
    run = root / "plexi" / subdir
    (run / ".hydra").mkdir(parents=True)
    (root / "plexi" / "multirun.yaml").write_text(
        "hydra:\n  overrides:\n    task:\n    - seed=0,1\n    - logger=wandb\n"
        "    - '+model.x={a: 1}'\n    - 'optimizer.lr=interval(0.1,1)'\n"
        "    - 'model.channels=[2,4],[3,8]'\nseed: 0\nmissing: ${nowhere}\n"
    )
    (run / ".hydra" / "overrides.yaml").write_text(
        "- seed=1\n- logger=wandb\n- '+model.x={a:1}'\n- model.channels=[3,8]\n"  # as Hydra writes them
    )
    return run


@pytest.mark.parametrize("subdir", ["0", "12", "model/large"])
def test_a_job_of_a_sweep_knows_its_number_and_choices(tmp_path: Path, subdir: str) -> None:
    run = _sweep(tmp_path, subdir)
    assert origin_of(run) == Origin(tmp_path / "plexi", subdir, ("seed=1", "model.channels=[3,8]"))


def test_a_single_run_belongs_to_none(tmp_path: Path) -> None:
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / "run" / ".hydra" / "overrides.yaml").write_text("- seed=1\n")
    assert origin_of(tmp_path / "run") == Origin(None, None, ())


def test_without_overrides_there_are_no_choices(tmp_path: Path) -> None:
    run = _sweep(tmp_path, "3")
    (run / ".hydra" / "overrides.yaml").unlink()
    assert origin_of(run).choices == ()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    run = _sweep(tmp_path, "0")
    (tmp_path / "plexi" / "multirun.yaml").write_text("a: [1\n")
    with pytest.raises(UserError, match=r"multirun.yaml: cannot be read: ") as caught:
        origin_of(run)
    assert "\n" not in str(caught.value)


def test_a_run_is_logged_under_the_names_of_its_config(tmp_path: Path) -> None:
    run = _sweep(tmp_path, "0")
    assert logged_as(run) == LoggedAs(None, None, "plexi")
    (run / "config.yaml").write_text("logger: {project: amps, entity: me, group: null}\n")
    assert logged_as(run) == LoggedAs("amps", "me", "plexi")
    (run / "config.yaml").write_text("logger: {project: amps, entity: null, group: mine}\n")
    assert logged_as(run) == LoggedAs("amps", None, "mine")
