"""What is damaged, kind by kind, and who reads it."""

from __future__ import annotations

import json
import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
import yaml

from fuzzing.guard import AcceptedError
from fuzzing.mutations import as_json, of_bytes, of_values
from namexp.audio.wav import read_wav
from namexp.comparison.columns import read_columns
from namexp.comparison.page import write_report
from namexp.engine.checkpoint import load_checkpoint, load_progress
from namexp.nam.describe import describe_file
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import MetricsFile, read_metrics
from namexp.schema.resuming import stored_config
from namexp.sweeps.directory import SweepLayout, job_table, read_jobs
from namexp.sweeps.origin import origin_of
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.weights.playable import load_playable
from namexp.tasks.capture.weights.stored import load_stored
from namexp.tasks.known import parse_experiment
from namexp.tasks.vocoder.mels import read_mel
from namexp.tasks.vocoder.weights.official import read_official
from namexp.tasks.vocoder.weights.single import read_voice

NOISE = torch.sin(torch.arange(300) / 7.0)
FINE = "fine"  # the run beside the damaged one


class Kind(ABC):
    """Damages one file, and reads it as a command would."""

    name: ClassVar[str]
    share: ClassVar[float] = 1.0  # of the inputs: what is cheap gets more

    def __init__(self, sound: Path, scratch: Path) -> None:
        """Begin.

        Args:
            sound: what ``sound.make_all`` wrote; left as it is.
            scratch: an empty folder.
        """
        self.sound, self.scratch = sound, scratch

    @abstractmethod
    def examine(self, draw: random.Random) -> bool:
        """Damage and read one input; whether it was taken."""


class _OneFile(Kind):
    """Of a kind that lies in one file by itself."""

    sources: ClassVar[tuple[str, ...]]
    by_value: ClassVar[float] = 0.0  # how often values are changed, not bytes: of JSON

    def examine(self, draw: random.Random) -> bool:
        """Damage and read one."""
        source = self.sound / draw.choice(self.sources)
        path = self.scratch / source.name
        path.write_bytes(damaged_text(draw, source, self.by_value))
        return self.read(path, source)

    @abstractmethod
    def read(self, path: Path, source: Path) -> bool:
        """Read the damaged copy of ``source``."""


def damaged_text(draw: random.Random, source: Path, by_value: float) -> bytes:
    """The content of a file after some changes of its values or of its bytes."""
    content = source.read_bytes()
    if draw.random() >= by_value:
        return of_bytes(draw, content)
    if source.suffix == ".yaml":
        value = of_values(draw, yaml.load(content, Loader=yaml.CSafeLoader))
        return yaml.safe_dump(value, allow_unicode=True, width=10**6).encode("utf-8", "surrogatepass")
    return as_json(of_values(draw, _json(source)))


def _json(source: Path) -> Any:
    return json.loads(source.read_text(encoding="utf-8"))


class Nam(_OneFile):
    """``.nam``: inspected, and played if it loads."""

    name = "nam"
    share = 6.0
    sources = tuple(f"nam/{n}.nam" for n in ("packed", "wavenet", "slimmable", "lstm", "linear", "conv_net"))
    by_value = 0.7

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        described = describe_file(path)
        as_json(described)
        if described["loads"]:
            load_playable(path).play(NOISE)
        return bool(described["loads"])


class Config(_OneFile):
    """``config.yaml``: as resume and export read it."""

    name = "config"
    share = 3.0
    sources = tuple(f"runs/{n}/config.yaml" for n in ("packed", "wavenet", "slimmable"))
    by_value = 0.6

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        parse_experiment(stored_config(path))
        return True


class Metrics(_OneFile):
    """``metrics.csv``: gone on with."""

    name = "metrics"
    share = 6.0
    sources = ("runs/packed/metrics.csv",)

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        read_columns(read_metrics(path))
        MetricsFile(path, keep_rows=3).append(epoch=9, step=9, values={"ESR": 0.5, "new": 1.0})
        return True


class Records(_OneFile):
    """JSON of ours, whatever it says."""

    name = "json"
    share = 20.0
    sources = ("runs/packed/summary.json", "runs/packed/status.json", "runs/sweep/sweep.json")
    by_value = 0.5

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        read_json(path)
        return True


class Audio(_OneFile):
    """Recordings."""

    name = "audio"
    share = 10.0
    sources = ("audio/a.wav", "audio/a.flac")

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        read_wav(path)
        return True


class Mels(_OneFile):
    """``.npy`` mels."""

    name = "mel"
    share = 10.0
    sources = ("mel.npy",)

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        read_mel(path, 5)
        return True


class Safetensors(_OneFile):
    """``model.safetensors`` of a voice."""

    name = "safetensors"
    share = 4.0
    sources = ("voice/model.safetensors",)

    def read(self, path: Path, source: Path) -> bool:
        """Read it."""
        read_voice(path)
        return True


class Official(Kind):
    """``g_`` and ``config.json`` of the official vocoder code."""

    name = "official"
    share = 2.0

    def examine(self, draw: random.Random) -> bool:
        """Damage and read one."""
        names = ("g_00000001", "config.json")
        for name in names:
            shutil.copyfile(self.sound / "voice" / name, self.scratch / name)
        name = draw.choice(names)
        by_value = 0.7 if name.endswith(".json") else 0.0
        (self.scratch / name).write_bytes(damaged_text(draw, self.sound / "voice" / name, by_value))
        read_official(self.scratch / "g_00000001")
        return True


class Checkpoints(Kind):
    """A checkpoint by itself: changed bytes must never be taken, changed content only where it is sound."""

    name = "checkpoint"
    share = 2.0
    sources: ClassVar = ("packed/packed_best_submodel_0.ckpt", "wavenet/checkpoints/best.ckpt")

    def examine(self, draw: random.Random) -> bool:
        """Damage and read one."""
        source = self.sound / "runs" / draw.choice(self.sources)
        path = self.scratch / source.name
        if draw.random() < 0.5:
            path.write_bytes(of_bytes(draw, source.read_bytes()))
            content = load_checkpoint(path)
            _check_equal(content["state_dict"], load_checkpoint(source)["state_dict"])
        else:
            torch.save(of_values(draw, _unshared(load_checkpoint(source))), path)
        load_playable(path).play(NOISE)
        return True


def _unshared(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: content[key] for key in ("namexp", "state_dict", "best", "callbacks", "epoch") if key in content
    }


def _check_equal(found: Mapping[str, Any], sound: Mapping[str, Any]) -> None:
    if found.keys() != sound.keys() or not all(torch.equal(found[name], sound[name]) for name in sound):
        raise AcceptedError("other weights than were written were taken")


class Training(Kind):
    """The files that a training goes on from, and that it is exported from."""

    name = "training"
    share = 2.0
    files: ClassVar = ("packed_best.json", "packed_best_submodel_1.ckpt", "checkpoints/last.ckpt")

    def examine(self, draw: random.Random) -> bool:
        """Damage and read one."""
        root = self.scratch / "run"
        shutil.copytree(self.sound / "runs" / "packed", root, dirs_exist_ok=True)
        name = draw.choice(self.files)
        source = self.sound / "runs" / "packed" / name
        if name.endswith(".json"):
            (root / name).write_bytes(damaged_text(draw, source, 0.8))
        elif draw.random() < 0.3:
            (root / name).write_bytes(of_bytes(draw, source.read_bytes()))
        else:
            torch.save(of_values(draw, _unshared(load_checkpoint(source))), root / name)
        load_progress(RunLayout(root))
        load_stored(CaptureLayout(root))
        return True


class Page(Kind):
    """A run directory beside a sound one: the page tells of both, whatever it holds."""

    name = "page"
    share = 0.7
    files: ClassVar = ("summary.json", "status.json", "config.yaml", "metrics.csv", "packed_best.json")

    def examine(self, draw: random.Random) -> bool:
        """Damage and read one."""
        runs = self.scratch / "runs"
        for name in (FINE, "hurt"):
            if not (runs / name / "summary.json").exists() or name == "hurt":
                for file in self.files:
                    (runs / name).mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.sound / "runs" / "packed" / file, runs / name / file)
        for file in draw.sample(self.files, draw.choice((1, 1, 2))):
            content = damaged_text(draw, self.sound / "runs" / "packed" / file, 0.0 if "csv" in file else 0.7)
            (runs / "hurt" / file).write_bytes(content)
        page = write_report([runs], self.scratch / "page")
        told = read_json(page.parent / "report.json")["runs"]
        fine = next((run for run in told if run["label"] == FINE), None)
        if len(told) != 2 or fine is None or fine["state"] != "done" or not fine["submodels"]:
            raise AcceptedError("the page lacks the run that is sound")
        page.read_text(encoding="utf-8")
        return True


class Sweep(Kind):
    """A sweep directory: its status, and where a job of it belongs."""

    name = "sweep"
    share = 5.0
    files: ClassVar = ("sweep.json", "multirun.yaml", "0/status.json", "0/summary.json")

    def examine(self, draw: random.Random) -> bool:
        """Damage and read one."""
        root = self.scratch / "sweep"
        for name in (*self.files, "1/status.json"):
            source = self.sound / "runs" / "sweep" / name
            if source.exists():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, root / name)
        name = draw.choice([name for name in self.files if (root / name).exists()])
        (root / name).write_bytes(damaged_text(draw, root / name, 0.7))
        job_table(read_jobs(SweepLayout(root)))
        origin_of(root / "0")
        return True


KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (
        Nam, Config, Metrics, Records, Audio, Mels, Safetensors, Official, Checkpoints, Training, Page, Sweep,
    )
}  # fmt: skip
