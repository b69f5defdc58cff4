"""Speeds are measured of each size alone and leave torch as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import namexp.tasks.capture.scoring as scoring
from namexp.models.network import Network
from namexp.tasks.capture.networks import build_network
from namexp.tasks.capture.scoring import realtime_factors

SMALL = "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2], activation: LeakyReLU}]"


@pytest.mark.parametrize(
    ("overrides", "sizes"),
    [
        (("model=packed_wavenet_small", "model.channels=[1,2,4]", SMALL), 3),
        (("model=slimmable", "model.channels=[2,4]", SMALL), 2),
        (("model=wavenet_nano", "model.channels=4", SMALL), 1),
    ],
)
def test_one_positive_factor_for_each_size(
    experiment_config: Callable, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...], sizes: int
) -> None:
    monkeypatch.setattr(scoring, "TIMED_SECONDS", 0.01)
    monkeypatch.setattr(scoring, "TIMED_BLOCK", 256)
    network = build_network(experiment_config(*overrides).plan, seed=0).eval()
    torch.set_num_threads(2)
    factors = realtime_factors(network, 48000)
    assert len(factors) == sizes
    assert all(factor > 0 for factor in factors)
    assert torch.get_num_threads() == 2


def test_the_factor_is_audio_over_computation(
    experiment_config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_network(
        experiment_config("model=wavenet_nano", "model.channels=4", SMALL).plan, seed=0
    ).eval()
    monkeypatch.setattr(scoring, "_block_seconds", lambda _: 0.5)
    assert realtime_factors(network, 16384) == [2.0]  # a second of audio in half a second


def test_a_size_is_timed_as_a_network_of_its_own(
    experiment_config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Network] = []
    monkeypatch.setattr(scoring, "_block_seconds", lambda network: timed.append(network) or 1.0)
    pack = build_network(experiment_config("model=packed_wavenet_small", "model.channels=[1,4]").plan, seed=0)
    realtime_factors(pack, 48000)
    assert timed == list(pack.members)
