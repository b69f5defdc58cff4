"""Run directories into records, whatever state they are in."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from namexp.comparison.collect import collect
from namexp.comparison.columns import CURVE_POINTS
from namexp.comparison.reading import max_values, read_run
from namexp.errors import UserError
from namexp.runs.layout import RunLayout
from tests.synthetic_runs import write_run


def test_everything_a_run_says_is_read(tmp_path: Path) -> None:
    write_run(tmp_path / "a", channels=(2, 5), esr=(0.5, 0.25), seed=7, settings={"optimizer.lr": 0.002})
    (run,) = collect([tmp_path])
    assert (run.label, run.state, run.reason, run.seed, run.damages) == ("a", "done", None, 7, ())
    assert (run.receptive_field, run.sample_rate, run.epochs, run.seconds_training) == (1796, 8000, 5, 67.0)
    assert run.settings["optimizer.lr"] == 0.002
    assert run.settings["model.channels"] == "[2, 5]"
    assert run.settings["model"] == "packed_wavenet_small"  # the group's option
    assert run.overrides == (
        "model=packed_wavenet_small",
        "model.channels=[2,5]",
        "optimizer.lr=0.002",
        "seed=7",
    )
    assert [(s.name, s.channels, s.figures.get("ESR"), s.macs, s.best_epoch) for s in run.submodels] == [
        ("channels_2", "2", 0.5, 144.0, 4),
        ("channels_5", "5", 0.25, 900.0, 4),
    ]
    assert run.max_values == (0.5, 1.0)
    assert run.cwd == "/home/guitarist"


def test_curves_count_epochs_from_one_and_end_at_the_last(tmp_path: Path) -> None:
    write_run(tmp_path / "a", esr=(0.5, 0.25), epochs=3)
    run = read_run(tmp_path / "a", "a")
    # esr * (1 + 4 / 2^epoch), and esr itself at the end
    assert run.curves["ESR_packed_1"] == ((1.0, 1.25), (2.0, 0.75), (3.0, 0.25))
    assert run.curves["ESR"][-1] == (3.0, 0.375)
    assert [x for x, _ in run.curves["train/loss"]] == [1.0, 2.0, 3.0]


def test_long_curves_are_thinned_and_keep_both_ends(tmp_path: Path) -> None:
    write_run(tmp_path / "a", esr=(0.5, 0.25), epochs=1000)
    points = read_run(tmp_path / "a", "a").curves["ESR_packed_0"]
    assert len(points) == CURVE_POINTS
    assert (points[0], points[-1]) == ((1.0, 2.5), (1000.0, 0.5))
    epochs = [x for x, _ in points]
    assert epochs == sorted(set(epochs))


def test_states(tmp_path: Path) -> None:
    write_run(tmp_path / "0")
    write_run(tmp_path / "1", state="failed", error="UserError: optimizer.lr (= 0) must be above 0.")
    write_run(tmp_path / "2", state="interrupted")
    write_run(tmp_path / "3", state="running")
    write_run(tmp_path / "4", state="running")
    RunLayout(tmp_path / "4").lock.touch()  # nobody holds it: the process is gone
    with RunLayout(tmp_path / "3").lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        runs = collect([tmp_path])
    assert [r.state for r in runs] == ["done", "failed", "interrupted", "running", "interrupted"]
    assert runs[1].reason == "UserError: optimizer.lr (= 0) must be above 0."
    assert "killed" in str(runs[4].reason)
    assert runs[3].curves["ESR"], "an unfinished run has learned already"
    assert runs[3].submodels == ()


def test_looking_at_a_run_leaves_its_lock_to_others(tmp_path: Path) -> None:
    write_run(tmp_path / "0", state="running")
    RunLayout(tmp_path / "0").lock.touch()
    collect([tmp_path])
    with RunLayout(tmp_path / "0").lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where somebody has it


DAMAGES = {
    "summary.json": b'{"submodels": [{"ESR": 0.',
    "status.json": b"\xff\xfe",
    "config.yaml": b"model: [unclosed",
    "metrics.csv": b"\x00\xff\xfe,\n",
    ".hydra/overrides.yaml": b"{",
    ".hydra/hydra.yaml": b"- 3",
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("content", ["damaged", "empty", "other"])
def test_a_damaged_file_is_named_and_the_rest_is_read(tmp_path: Path, name: str, content: str) -> None:
    write_run(tmp_path / "0", esr=(0.5, 0.25))
    text = {"damaged": DAMAGES[name], "empty": b"", "other": b"3\n"}[content]
    (tmp_path / "0" / name).write_bytes(text)
    (run,) = collect([tmp_path])
    if name != "metrics.csv":  # an empty table is a run that has not begun to learn
        assert [d.split(":")[0] for d in run.damages] == [Path(name).name]
        assert "\n" not in run.damages[0]
    if name != "summary.json":
        assert run.submodels[1].figures["ESR"] == 0.25
    if name == "status.json":
        assert run.state == "unknown"
    if name == "config.yaml":
        assert run.group is None


def test_values_of_the_wrong_type_are_none(tmp_path: Path) -> None:
    write_run(
        tmp_path / "0", seed=4, seconds_training="long", receptive_field=True, submodels=[3, {"ESR": "low"}]
    )
    path = tmp_path / "0" / "summary.json"
    path.write_text(path.read_text().replace('"seed": 4', '"seed": "x"'))
    (run,) = collect([tmp_path])
    assert (run.seconds_training, run.receptive_field) == (None, None)
    assert run.seed == 4, "config.yaml has it too"
    assert [(s.name, s.figures.get("ESR"), s.macs) for s in run.submodels] == [("submodel 1", None, None)]


def test_a_line_cut_off_in_metrics_does_not_matter(tmp_path: Path) -> None:
    write_run(tmp_path / "0", esr=(0.5, 0.25), epochs=2)
    path = tmp_path / "0" / "metrics.csv"
    path.write_text(path.read_text() + "2,30,0.")
    assert [x for x, _ in read_run(tmp_path / "0", "0").curves["ESR"]] == [1.0, 2.0]


# --- which directories ----------------------------------------------------------------------------


def test_runs_are_found_below_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("sweep/10", "sweep/9", "sweep/deep/er/0", "other"):
        write_run(tmp_path / name)
    (tmp_path / "sweep" / "9" / "wandb").mkdir()
    shutil.copytree(tmp_path / "other", tmp_path / "sweep" / "9" / "wandb" / "copy")  # inside a run: not one
    (tmp_path / "notes").mkdir()
    assert [r.label for r in collect([tmp_path])] == ["other", "sweep/9", "sweep/10", "sweep/deep/er/0"]
    assert [r.label for r in collect([tmp_path / "sweep"])] == ["9", "10", "deep/er/0"]
    assert [r.label for r in collect([tmp_path / "sweep" / "9"])] == ["9"]
    both = collect([tmp_path / "sweep" / "9", tmp_path / "other", tmp_path / "sweep" / "9"])
    assert [r.label for r in both] == ["sweep/9", "other"]


def test_a_path_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}: holds no run directory; give"):
        collect([tmp_path])
    with pytest.raises(UserError, match="nowhere: no such directory; give"):
        collect([tmp_path / "nowhere"])


def test_jobs_that_never_began_are_missing(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    write_run(sweep / "0", channels=(2, 5))
    write_run(sweep / "2", channels=(2, 5), seed=2)
    write_run(tmp_path / "zz")
    (sweep / "sweep.json").touch()
    planned = [("model.channels=[2,5]", f"seed={i}") for i in range(4)]
    runs = collect([tmp_path], plan=lambda path: planned if path == sweep else None)
    labels = [(r.label, r.state, r.seed) for r in runs]
    assert labels == [
        ("sweep/0", "done", 0), ("sweep/1", "missing", 1), ("sweep/2", "done", 2),
        ("sweep/3", "missing", 3), ("zz", "done", 0),
    ]  # fmt: skip
    assert runs[1].settings["model.channels"] == "[2,5]"


def test_a_sweep_of_which_no_job_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").touch()
    monkeypatch.chdir(tmp_path)
    runs = collect([Path("sweep")], plan=lambda _: [("seed=3",)])
    assert [(r.label, r.state, r.seed) for r in runs] == [("0", "missing", 3)]
    with pytest.raises(UserError, match="sweep: holds no run directory"):
        collect([Path("sweep")], plan=lambda _: None)


def test_a_job_in_a_directory_of_another_name_is_not_missing(tmp_path: Path) -> None:
    write_run(tmp_path / "seed=0", channels=(2, 5), seed=0)
    (tmp_path / "sweep.json").touch()
    planned = [("model=packed_wavenet_small", "model.channels=[2,5]", f"seed={i}") for i in range(2)]
    runs = collect([tmp_path], plan=lambda _: planned)
    assert sorted(r.state for r in runs) == ["done", "missing"]


# --- thresholds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("summary", "sizes", "expected"),
    [
        ({"max_values": [0.3, 1.0], "container_max_values": "compute"}, 2, (0.3, 1.0)),
        ({"max_values": None, "container_max_values": "uniform"}, 4, (0.25, 0.5, 0.75, 1.0)),  # slimmable
        ({"container_max_values": "uniform"}, 2, (0.5, 1.0)),  # before max_values was written
        ({"container_max_values": [0.2, 0.9]}, 2, (0.2, 1.0)),
        ({"container_max_values": "compute"}, 2, None),
        ({"max_values": [0.5, 0.4, 1.0]}, 3, None),
        ({"max_values": [0.5, 1.0]}, 3, None),
        ({"max_values": [1.0]}, 1, None),
    ],
)
def test_thresholds(summary: dict[str, object], sizes: int, expected: tuple[float, ...] | None) -> None:
    assert max_values(json.loads(json.dumps(summary)), sizes) == expected


def test_groups_are_equal_but_for_the_seed_and_what_cannot_change_the_weights(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seed=0)
    write_run(tmp_path / "1", seed=1, settings={"export.container_max_values": "compute"})
    write_run(tmp_path / "2", seed=1, settings={"optimizer.lr": 0.1})
    a, b, c = collect([tmp_path])
    assert a.group == b.group != c.group
