"""What tells runs apart, and the command that repeats one."""

from __future__ import annotations

import shlex
from pathlib import Path

from namexp.comparison.collect import collect
from namexp.comparison.records import Run
from namexp.comparison.settings import command, differences
from namexp.runs.states import MISSING
from tests.synthetic_runs import write_run


def test_only_what_differs_counts_and_what_was_chosen_comes_first(tmp_path: Path) -> None:
    write_run(tmp_path / "0", channels=(2, 5), seed=0, settings={"data.ny": 4096})
    write_run(tmp_path / "1", channels=(3, 8), seed=1, settings={"data.ny": 4096})
    runs = collect([tmp_path])
    assert [tuple(d) for d in differences(runs)] == [("model.channels", True)]


def test_what_follows_from_a_choice_is_not_a_choice() -> None:
    def run(model: str, kind: str, lr: float) -> Run:
        settings = {"model": model, "model.kind": kind, "optimizer.lr": lr, "data.ny": 1}
        return Run(
            Path(model), model, "done", settings=settings, config={"a": 1}, overrides=(f"model={model}",)
        )

    found = differences([run("wavenet", "wavenet", 0.004), run("packed", "packed_wavenet", 0.002)])
    assert [tuple(d) for d in found] == [("model", True), ("model.kind", False), ("optimizer.lr", False)]


def test_a_job_that_never_began_differs_in_its_overrides_only() -> None:
    done = Run(Path("0"), "0", "done", settings={"a.b": [2], "c.d": False, "e.f": 1}, config={"a": 1})
    missing = Run(Path("1"), "1", MISSING, settings={"a.b": "[ 2 ]", "c.d": "False"}, overrides=("a.b=[2]",))
    assert differences([done, missing]) == []
    other = Run(Path("1"), "1", MISSING, settings={"a.b": "[3]"}, overrides=("a.b=[3]",))
    assert [d.key for d in differences([done, other])] == ["a.b"]


def test_a_command_is_quoted_for_a_shell_and_says_the_seed() -> None:
    overrides = ("model.channels=[2,5]", "data.input=/my songs/it's.wav", "hydra.run.dir=x", "~logger.tags")
    text = command(Run(Path("0"), "0", "done", overrides=overrides, seed=3))
    assert text is not None
    assert shlex.split(text) == [
        "python", "-m", "namexp.train", "model.channels=[2,5]", "data.input=/my songs/it's.wav",
        "~logger.tags", "seed=3",
    ]  # fmt: skip


def test_a_seed_that_was_said_is_not_said_twice() -> None:
    assert (
        command(Run(Path("0"), "0", "done", overrides=("seed=4",), seed=4)) == "python -m namexp.train seed=4"
    )
    assert command(Run(Path("0"), "0", "done", seed=4)) is None


def test_a_job_of_a_sweep_that_sets_more_than_it_chooses_is_repeated_with_it_as_one_run() -> None:
    overrides = ("model.kind=waveflow", "seed=2", "sweep=parameter_sharing", "hydra.sweep.dir=x")
    assert command(Run(Path("0"), "0", "done", overrides=overrides, seed=2)) == (
        "python -m namexp.train model.kind=waveflow seed=2 sweep=parameter_sharing hydra.mode=RUN"
    )


def test_a_command_says_where_hydra_looked_for_its_files(tmp_path: Path) -> None:
    import yaml

    write_run(tmp_path / "0", channels=(2, 5), seed=0, settings={"data.ny": 4096})
    hydra = {
        "job": {"config_name": "mine"},
        "runtime": {
            "cwd": "/somewhere",
            "config_sources": [
                {"path": "hydra.conf", "schema": "pkg", "provider": "hydra"},
                {"path": "/my conf", "schema": "file", "provider": "command-line"},
                {"path": "/conf", "schema": "file", "provider": "main"},
            ],
        },
    }
    (tmp_path / "0" / ".hydra").mkdir(exist_ok=True)
    (tmp_path / "0" / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    (tmp_path / "0" / ".hydra" / "overrides.yaml").write_text("- experiment=mine\n- seed=0\n")
    (run,) = collect([tmp_path / "0"])
    text = command(run)
    assert text is not None
    assert shlex.split(text) == [
        "python", "-m", "namexp.train", "--config-dir", "/my conf", "--config-name", "mine",
        "experiment=mine", "seed=0",
    ]  # fmt: skip


def test_a_job_that_never_began_is_repeated_by_what_its_sweep_was_told(tmp_path: Path) -> None:
    from namexp.runs.files import write_json

    flags = ["--config-dir", "/my conf"]
    record = {"task": [], "hydra": [], "flags": flags, "cwd": "/", "space": None}
    write_json(tmp_path / "sweep.json", {**record, "jobs": [{"overrides": ["experiment=mine", "seed=4"]}]})
    (run,) = collect([tmp_path])
    assert run.state == MISSING
    assert command(run) == "python -m namexp.train --config-dir '/my conf' experiment=mine seed=4"
