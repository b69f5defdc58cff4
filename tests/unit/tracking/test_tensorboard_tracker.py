"""TensorBoard's event files, read back with its own reader."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from namexp.errors import UserError
from namexp.schema.logger import LoggerConfig
from namexp.tracking.opening import check_tracking, open_tracker
from namexp.tracking.tracker import Clip, RunDescription, TrackerLogger

Config = Callable[..., LoggerConfig]
Describe = Callable[..., RunDescription]


def _read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def test_everything_that_is_told_is_there(logger_config: Config, description: Describe) -> None:
    import soundfile
    from matplotlib.figure import Figure

    about = description("first")
    samples = np.linspace(-0.5, 0.5, 64, dtype=np.float32)
    png = about.layout.root / "p.png"
    Figure(figsize=(1, 2), dpi=10).savefig(png)
    with open_tracker(logger_config("tensorboard"), about) as tracker:
        TrackerLogger(tracker).log_metrics({"ESR_packed_0": 0.5, "epoch": 0}, step=10)
        TrackerLogger(tracker).log_metrics({"ESR_packed_0": 0.25, "epoch": 1}, step=20)
        tracker.audio({"audio/x": Clip(samples, 16000, "x")}, 10)
        tracker.pictures({"pictures/x": png})
        tracker.table("submodels", ["name", "ESR"], [["small", 0.5], ["large", None]])
        tracker.summarise({"exported/ESR_packed_0": 0.25, "reused_from": "../0"})
    found = _read(about.layout.tensorboard)
    assert [(e.step, e.value) for e in found.Scalars("ESR_packed_0")] == [(10, 0.5), (20, 0.25)]
    assert [(e.step, e.value) for e in found.Scalars("exported/ESR_packed_0")] == [(20, 0.25)]
    assert [e.value for e in found.Scalars("model/macs_per_sample_packed_0")] == [76.0]
    (audio,) = found.Audio("audio/x")
    heard, rate = soundfile.read(io.BytesIO(audio.encoded_audio_string))
    assert (audio.step, rate) == (10, 16000)
    np.testing.assert_allclose(heard, samples, atol=2**-14)
    (picture,) = found.Images("pictures/x")
    assert (picture.step, picture.width, picture.height) == (20, 10, 20)
    (table,) = found.Tensors("submodels/text_summary")
    assert table.tensor_proto.string_val[0].decode().splitlines() == [
        "| name | ESR |", "| --- | --- |", "| small | 0.5 |", "| large |  |",
    ]  # fmt: skip
    assert [path.name for path in about.layout.tensorboard.iterdir() if "tfevents" not in path.name] == []


def test_it_is_asked_for_before_anything_else(logger_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    check_tracking(logger_config("tensorboard"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"^logger.kind \(= tensorboard\): TensorBoard is not installed; pip"):
        check_tracking(logger_config("tensorboard"))
