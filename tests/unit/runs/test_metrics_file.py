"""metrics.csv: appended to, never begun again."""

from __future__ import annotations

from pathlib import Path

from namexp.runs.metrics import MetricsFile, read_metrics


def test_a_row_per_call(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.csv"
    file = MetricsFile(path)
    file.append(epoch=0, step=9, values={"val_loss": 0.5, "ESR": 0.25})
    file.append(epoch=1, step=19, values={"ESR": 0.125, "val_loss": 1e-7})
    assert path.read_text().splitlines() == ["epoch,step,ESR,val_loss", "0,9,0.25,0.5", "1,19,0.125,1e-07"]


def test_no_file_before_the_first_row(tmp_path: Path) -> None:
    MetricsFile(tmp_path / "metrics.csv")
    assert not (tmp_path / "metrics.csv").exists()


def test_columns_that_join_later_leave_the_old_rows_empty_there(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    file.append(epoch=0, step=4, values={"train/loss": 0.75})
    file.append(epoch=0, step=9, values={"val_loss": 0.5, "ESR": 0.25})
    file.append(epoch=1, step=14, values={"train/loss": 0.5})
    assert path.read_text().splitlines() == [
        "epoch,step,train/loss,ESR,val_loss", "0,4,0.75,,", "0,9,,0.25,0.5", "1,14,0.5,,",
    ]  # fmt: skip
    assert read_metrics(path)[0] == {
        "epoch": "0", "step": "4", "train/loss": "0.75", "ESR": "", "val_loss": "",
    }  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_opened_again_it_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsFile(path).append(epoch=0, step=9, values={"ESR": 0.25})
    again = MetricsFile(path)
    assert path.read_text().splitlines() == ["epoch,step,ESR", "0,9,0.25"]
    again.append(epoch=1, step=19, values={"ESR": 0.125})
    again.append(epoch=2, step=29, values={"MRSTFT": 2.0, "ESR": 0.0625})
    assert path.read_text().splitlines() == [
        "epoch,step,ESR,MRSTFT", "0,9,0.25,", "1,19,0.125,", "2,29,0.0625,2.0",
    ]  # fmt: skip


def test_numbers_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    values = {"a": 0.1 + 0.2, "b": 1 / 3, "c": 5e-324, "d": float("nan"), "e": float("-inf")}
    file.append(epoch=0, step=0, values=values)
    (row,) = read_metrics(tmp_path / "metrics.csv")
    assert {k: repr(float(row[k])) for k in values} == {k: repr(v) for k, v in values.items()}


def test_an_empty_file_is_started(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").touch()
    file = MetricsFile(tmp_path / "metrics.csv")
    file.append(epoch=0, step=0, values={"ESR": 0.5})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,step,ESR", "0,0,0.5"]


def test_rows_after_the_checkpoint_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    for step in range(4):
        file.append(epoch=0, step=step, values={"loss": float(step)})
    assert file.num_rows == 4
    again = MetricsFile(path, keep_rows=2)
    assert again.num_rows == 2
    again.append(epoch=0, step=2, values={"loss": 7.0})
    assert again.num_rows == 3
    assert [row["loss"] for row in read_metrics(path)] == ["0.0", "1.0", "7.0"]


def test_nothing_kept_is_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsFile(path).append(epoch=0, step=0, values={"a": 1.0})
    MetricsFile(path, keep_rows=0).append(epoch=0, step=0, values={"b": 2.0})
    assert path.read_text().splitlines() == ["epoch,step,b", "0,0,2.0"]


def test_a_row_that_was_cut_off_while_it_was_written_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    for step in range(3):
        file.append(epoch=0, step=step, values={"loss": 0.5})
    path.write_bytes(path.read_bytes()[:-3])
    assert [row["step"] for row in read_metrics(path)] == ["0", "1"]
    assert MetricsFile(path).num_rows == 2
