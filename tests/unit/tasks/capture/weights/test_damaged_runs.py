"""Run directories of strangers, and rotten ones: nothing is played, exported or continued from them."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from namexp.engine.checkpoint import load_checkpoint, load_progress
from namexp.errors import UserError
from namexp.runs.layout import RunLayout
from namexp.tasks.capture.config.export import check_user_metadata
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.weights.exporting import export_run
from namexp.tasks.capture.weights.playable import load_playable
from namexp.tasks.capture.weights.stored import load_stored
from namexp.tasks.known import doors_at

OLD = Path(__file__).resolve().parents[4] / "old_runs"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A finished run of a pack."""
    return Path(shutil.copytree(OLD / "packed", tmp_path / "packed"))


def _weights_at(path: Path) -> list[int]:
    """Where the content of each tensor of a checkpoint begins."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        found = []
        for entry in archive.infolist():
            if "/data/" in entry.filename and entry.file_size:
                file.seek(entry.header_offset + 26)
                lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]
                found.append(entry.header_offset + 30 + sum(lengths))
        return found


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


@pytest.mark.parametrize("part", range(0, 16, 3))
def test_one_flipped_bit_of_a_weight_is_found(packed: Path, part: int) -> None:
    path = packed / "packed_best_submodel_1.ckpt"
    places = _weights_at(path)
    _flip(path, places[part % len(places)] + 3)
    for work in (lambda: load_stored(CaptureLayout(packed)), lambda: load_playable(path)):
        with pytest.raises(UserError, match=r"packed_best_submodel_1\.ckpt: is damaged: .*checksum differs"):
            work()
    with pytest.raises(UserError, match="checksum differs"):
        export_run(packed, output=packed / "again.nam")
    assert not (packed / "again.nam").exists()


@pytest.mark.parametrize("part", range(0, 8, 3))
def test_a_rotten_last_checkpoint_is_not_gone_on_from(packed: Path, part: int) -> None:
    run = RunLayout(packed)
    assert load_progress(run) is not None
    _flip(run.last_checkpoint, _weights_at(run.last_checkpoint)[part] + 3)
    with pytest.raises(UserError, match=r"last\.ckpt: is damaged"):
        load_progress(run)
    assert load_checkpoint(run.last_checkpoint, verified=False)["namexp"]["seed"] == 0, "listings do not look"


CONTENT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "namexp empty": lambda c: c.update(namexp={}),
    "namexp text": lambda c: c.update(namexp="x"),
    "namexp nothing": lambda c: c.update(namexp=None),
    "namexp deep": lambda c: c["namexp"].update(audio_sha256=_nested(70)),
    "state a list": lambda c: c.update(state_dict=[1, 2]),
    "state of numbers": lambda c: c.update(state_dict={name: 1.0 for name in c["state_dict"]}),
    "state of one shape": lambda c: c.update(state_dict={n: torch.zeros(3) for n in c["state_dict"]}),
    "state lacks a name": lambda c: c["state_dict"].popitem(),
    "seed text": lambda c: c["namexp"].update(seed="x"),
    "seed huge": lambda c: c["namexp"].update(seed=10**400),
    "scale 0": lambda c: c["namexp"].update(target_scale=0),
    "scale nan": lambda c: c["namexp"].update(target_scale=float("nan")),
    "rate text": lambda c: c["namexp"].update(sample_rate="x"),
    "model text": lambda c: c["namexp"].update(model="x"),
    "model kind": lambda c: c["namexp"]["model"].update(kind="x"),
    "channels huge": lambda c: c["namexp"]["model"].update(channels=[10**9, 10**9]),
    "channels text": lambda c: c["namexp"]["model"].update(channels="x"),
    "head scale beyond floats": lambda c: c["namexp"]["model"].update(head_scale=10**400),
    "an interpolation": lambda c: c["namexp"]["model"].update(channels="${oc.env:SECRET}"),
}


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", CONTENT)
def test_a_valid_archive_of_wrong_content_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    content = torch.load(OLD / "wavenet" / "checkpoints" / "best.ckpt", weights_only=True)
    CONTENT[name](content)
    path = tmp_path / "hurt.ckpt"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"hurt\.ckpt: ") as caught:
        load_playable(path)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_model_that_lacks_what_is_null_is_another(packed: Path) -> None:
    path = packed / "packed_best_submodel_1.ckpt"
    content = torch.load(path, weights_only=True)
    null = next(key for key, value in content["namexp"]["model"].items() if value is None)
    del content["namexp"]["model"][null]
    torch.save(content, path)
    with pytest.raises(UserError, match=rf"holds another model .*they differ in model\.{null}\)"):
        load_stored(CaptureLayout(packed))


PROGRESS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no callbacks": lambda c: c.pop("callbacks"),
    "other callbacks": lambda c: c.update(callbacks={"x": 1}),
    "epochs text": lambda c: c["callbacks"]["Checkpoints"].update(finished_epochs="x"),
    "epochs negative": lambda c: c["callbacks"]["Checkpoints"].update(finished_epochs=-1),
    "rows": lambda c: c["callbacks"]["Checkpoints"].update(metric_rows=None),
    "threads": lambda c: c["namexp"].update(threads=10**9),
    "hashes": lambda c: c["namexp"].update(audio_sha256=5),
    "identity": lambda c: c["namexp"].update(training_id=5),
    "steps": lambda c: c.update(global_step="x", updates="x"),
    "epoch": lambda c: c.update(epoch=None),
}


@pytest.mark.parametrize("name", PROGRESS)
def test_a_training_of_wrong_content_is_not_gone_on_with(packed: Path, name: str) -> None:
    run = RunLayout(packed)
    content = torch.load(run.last_checkpoint, weights_only=True)
    PROGRESS[name](content)
    torch.save(content, run.last_checkpoint)
    with pytest.raises(UserError, match=r"last\.ckpt: "):
        load_progress(run)


BESTS: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "numbers": (lambda s: s.__setitem__(0, 5), "is damaged"),
    "no path": (lambda s: s[0].update(checkpoint_path=None), "which is no name"),
    "list as index": (lambda s: s[0].update(submodel_index=[0]), "must be a whole number"),
    "one index twice": (lambda s: s[0].update(submodel_index=1), "names one submodel twice"),
    "far outside": (lambda s: s[0].update(checkpoint_path="/etc/passwd"), "outside of the directory"),
    "swapped": (
        lambda s: (
            s[0].update(checkpoint_path="packed_best_submodel_1.ckpt"),
            s[1].update(checkpoint_path="packed_best_submodel_0.ckpt"),
        ),
        "holds submodel 1",
    ),
    "trainer's": (lambda s: s[0].update(checkpoint_path="checkpoints/best.ckpt"), "weights are not those"),
}


@pytest.mark.parametrize("name", BESTS)
def test_an_index_of_wrong_content_is_one_line(packed: Path, name: str) -> None:
    change, told = BESTS[name]
    index = json.loads((packed / "packed_best.json").read_text())
    change(index["submodels"])
    (packed / "packed_best.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=told):
        load_stored(CaptureLayout(packed))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_checkpoints_that_are_no_files(packed: Path, kind: str) -> None:
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        (packed / name).unlink()
        if kind == "pipe":
            os.mkfifo(packed / name)
        else:
            (packed / name).symlink_to("/dev/zero")
    works: list[Callable[[], Any]] = [
        lambda: load_stored(CaptureLayout(packed)), lambda: load_progress(RunLayout(packed)),
        lambda: doors_at(packed / "checkpoints" / "last.ckpt"),
    ]  # fmt: skip
    for work in works:
        with pytest.raises(UserError, match="is no regular file"):
            work()


def test_a_strangers_config_is_taken_literally(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    config = packed / "config.yaml"
    text = config.read_text()
    assert "  metadata:\n" in text
    config.write_text(text.replace("  metadata:\n", "  metadata:\n    modeled_by: ${oc.env:SECRET}\n", 1))
    with pytest.raises(UserError, match=r"config\.yaml: line \d+ holds an interpolation") as caught:
        export_run(packed, output=packed / "again.nam")
    assert "hunter2" not in str(caught.value)
    assert not (packed / "again.nam").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("submodels"), "KeyError"),
        (lambda s: s.update(submodels=5), "TypeError"),
        (lambda s: s.update(submodels=s["submodels"][:1]), "tells of 1 submodels, and the model has 2"),
        (lambda s: s["submodels"][0].update(ESR="x"), r"submodels\.ESR \(= 'x'\) must be a finite number"),
    ],
)
def test_a_damaged_summary_is_named_by_the_export(
    packed: Path, change: Callable[[Any], Any], told: str
) -> None:
    summary = json.loads((packed / "summary.json").read_text())
    change(summary)
    (packed / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UserError, match=rf"summary\.json: .*{told}"):
        export_run(packed, output=packed / "again.nam", container_max_values="quality")


@pytest.mark.parametrize("field", ["name", "modeled_by", "gear_make", "gear_model"])
def test_metadata_that_is_no_text_is_refused_before_anything_is_done(
    field: str, experiment_config: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match=rf"--metadata\.{field} \(= 'caf\\udce9'\) is no text"):
        check_user_metadata({field: "caf\udce9"}, "--metadata")
    with pytest.raises(UserError, match=rf"export\.metadata\.{field} \(= 'caf\\udce9'\) is no text"):
        experiment_config(f"export.metadata.{field}='caf\udce9'")
    assert check_user_metadata({field: "café \U0001f3b8"}, "--metadata") == {field: "café \U0001f3b8"}
