"""What is heard of a training, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from namexp.tasks.capture.data.excerpt import Excerpt
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.showing.preview import AudioPreview, played_excerpt, recording_clips, submodel_clips
from namexp.tracking.tracker import Clip, Tracker
from tests.captures import two_submodels


class Listener(Tracker):
    """Keeps the sounds that it is told."""

    def __init__(self) -> None:
        super().__init__(continued=False)
        self.heard: list[tuple[int, dict[str, Clip]]] = []

    def _audio(self, clips: Mapping[str, Clip], step: int) -> None:
        self.heard.append((step, dict(clips)))

    def summarise(self, values: Mapping[str, Any]) -> None: ...

    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None: ...

    def close(self, error: BaseException | None) -> None: ...

    def _metrics(self, values: Mapping[str, float], step: int) -> None: ...

    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None: ...

    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None: ...


@pytest.fixture
def task() -> CaptureModule:
    """Two submodels, R = 4."""
    return two_submodels([1, 2])


@pytest.fixture
def excerpt(task: CaptureModule) -> Excerpt:
    """20 samples, trained on at half their level."""
    R = task.network.receptive_field
    assert R is not None
    random = np.random.default_rng(0)
    context = random.standard_normal(20 + R - 1).astype(np.float32)
    return Excerpt(context, random.standard_normal(20).astype(np.float32), 7, 16000, 0.5)


def _trainer(epoch: int, every: int, **state: Any) -> Any:
    return SimpleNamespace(
        **{"sanity_checking": False, "is_global_zero": True, **state},
        current_epoch=epoch, check_val_every_n_epoch=every,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("validates_every", "epochs", "steps"), [(1, range(7), [30, 60]), (2, range(1, 14, 2), [60, 120])]
)
def test_every_third_validation_is_heard(
    task: CaptureModule, excerpt: Excerpt, validates_every: int, epochs: range, steps: list[int]
) -> None:
    tracker = Listener()
    callback = AudioPreview(tracker, excerpt, every_n_validations=3)
    for epoch in epochs:
        task.updates = 10 * (epoch + 1)
        callback.on_validation_end(_trainer(epoch, validates_every), task)
    assert [step for step, _ in tracker.heard] == steps


@pytest.mark.parametrize("state", [{"sanity_checking": True}, {"is_global_zero": False}])
def test_it_is_silent(task: CaptureModule, excerpt: Excerpt, state: dict[str, bool]) -> None:
    tracker = Listener()
    callback = AudioPreview(tracker, excerpt, every_n_validations=1)
    callback.on_validation_end(_trainer(0, 1, **state), task)
    assert tracker.heard == []


def test_prediction_and_difference_at_the_level_of_the_recording(
    task: CaptureModule, excerpt: Excerpt
) -> None:
    tracker = Listener()
    AudioPreview(tracker, excerpt, every_n_validations=1).on_validation_end(_trainer(0, 1), task)
    ((_, clips),) = tracker.heard
    with torch.inference_mode():
        expected = task.network(torch.from_numpy(excerpt.context)[None])[0].numpy() / 0.5
    target = recording_clips(excerpt)["audio/target"].samples
    np.testing.assert_array_equal(target, excerpt.target / 0.5)
    assert set(clips) == {f"audio/{what}_packed_{i}" for what in ("prediction", "difference") for i in (0, 1)}
    for i in (0, 1):
        prediction, difference = (clips[f"audio/{what}_packed_{i}"] for what in ("prediction", "difference"))
        np.testing.assert_allclose(prediction.samples, expected[i], rtol=1e-6)
        np.testing.assert_array_equal(difference.samples, prediction.samples - target)
        assert prediction.sample_rate == difference.sample_rate == 16000
        error = 10 * np.log10((difference.samples**2).sum() / (target**2).sum())
        assert difference.caption.endswith(f"- target: {error:.1f} dB relative to the target")


def test_a_perfect_prediction_and_a_silent_target_have_captions_too(excerpt: Excerpt) -> None:
    clips = submodel_clips(excerpt, excerpt.target[None], [""], ["model"])
    assert clips["audio/difference"].caption == "model - target: -inf dB relative to the target"
    silent = Excerpt(excerpt.context, np.zeros(20, np.float32), 0, 16000, 1.0)
    clips = submodel_clips(silent, excerpt.target[None], [""], ["model"])
    assert np.isfinite(clips["audio/difference"].samples).all()


def test_listening_changes_nothing(task: CaptureModule, excerpt: Excerpt) -> None:
    before = {key: value.clone() for key, value in task.state_dict().items()}
    state = torch.get_rng_state()
    tracker = Listener()
    AudioPreview(tracker, excerpt, every_n_validations=1).on_validation_end(_trainer(0, 1), task)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in task.state_dict().items())
    assert all(parameter.grad is None for parameter in task.parameters())


def test_a_network_in_float64_is_played_as_it_is(task: CaptureModule, excerpt: Excerpt) -> None:
    single = played_excerpt(task.network, excerpt)
    double = played_excerpt(task.network.double(), excerpt)
    assert double.dtype == np.float32
    np.testing.assert_allclose(double, single, rtol=1e-5, atol=1e-6)
