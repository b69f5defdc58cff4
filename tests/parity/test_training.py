"""The peer's own trainings, step by step: same weights and windows, same losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from namexp.engine.module import Optimisation
from namexp.models.streaming import respond
from namexp.models.wavenet import PackedWaveNet, WaveNet
from namexp.tasks.capture.data.recordings import load_recordings
from namexp.tasks.capture.data.windows import ValidationDataset, WindowDataset
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.capture.metrics import recording_metrics
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network

pytestmark = pytest.mark.parity

# What is asserted of the total loss at each step, relative to the recording.
#
# A1 follows to rounding. Training A2 from this point is chaotic: any difference in rounding grows
# about tenfold per step. The peer itself, replayed from its own recording on another CPU, is off by
# 3.3e-2 after 20 steps with two threads, 1.8e-2 with one, and 6e-3 when its input is scaled by
# 1 + 1e-7 (2026-11-21). So the later steps are held to what the peer holds.
CASES = {
    "a2_packed": ("experiment=peer_a2", "data=normalized"),
    "a1_standard": ("experiment=peer_a1", "data=raw"),
}
TOLERANCES = {
    "a2_packed": [1e-6, 1e-5, 5e-4, 3e-3] + [5e-2] * 16,
    "a1_standard": [1e-6] * 3 + [5e-6] * 7,
}
ESR_TOLERANCE = {"a2_packed": 0.1, "a1_standard": 1e-4}
TERM_NAMES = {"MSE": "MSE", "MRSTFT": "MRSTFT", "Pre-emphasized MRSTFT": "pre-emphasised MRSTFT"}


def _recorded(golden: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    # y_scale of the raw case is None, which numpy stores as an object
    with np.load(golden / "training" / f"{name}.npz", allow_pickle=True) as arrays:
        return dict(arrays), json.loads((golden / "training" / f"{name}.json").read_text())


def _prepare(experiment_config: Any, reamp: Path, name: str) -> tuple[Any, Any, Any]:
    """(config, recordings, network without the recorded weights)."""
    config = experiment_config(
        *CASES[name], f"data.input={reamp / 'input.wav'}", f"data.target={reamp / 'a2.wav'}"
    )
    recordings = load_recordings(config.data, receptive_field=config.plan.receptive_field)
    return config, recordings, build_network(config.plan, seed=0)


def _load(network: Any, recorded: dict[str, Any], when: str) -> None:
    for i, wavenet in enumerate(_submodels(network)):
        wavenet.import_weights(torch.from_numpy(recorded[f"{when}_weights_{i}"]))


def _validation_esr(network: Any, recordings: Any) -> Any:
    R = network.receptive_field
    batch = ValidationDataset(recordings.validation, receptive_field=R)[0]
    played = respond(network.eval(), batch.input)[0]
    return recording_metrics([(played, batch.target[0])])["ESR"]


def _submodels(network: Any) -> list[WaveNet]:
    return network.wavenets() if isinstance(network, PackedWaveNet) else [network]


@pytest.mark.parametrize("name", CASES)
def test_losses_follow_the_peers_at_every_step(
    golden: Path, reamp: Path, experiment_config: Any, name: str
) -> None:
    recorded, about = _recorded(golden, name)
    config, recordings, network = _prepare(experiment_config, reamp, name)
    _load(network, recorded, "initial")
    if about["normalized_to_dbfs"] is not None:
        assert recordings.target_scale == pytest.approx(float(recorded["y_scale"]), rel=1e-6)
    windows = WindowDataset(recordings.train, receptive_field=config.plan.receptive_field, ny=about["ny"])
    assert about["optimizer"]["Adam"]["lr"] == config.optimizer.lr
    assert about["optimizer"]["Adam"].get("weight_decay", 0.0) == config.optimizer.weight_decay
    task = CaptureModule(network, Optimisation(config.optimizer, config.scheduler), loss=config.loss)
    optimizer = task.configure_optimizers()
    loss_of = CaptureLoss(config.loss)
    columns = [loss_of.names.index(TERM_NAMES[term]) for term in about["terms"]]

    for step in range(about["steps"]):
        batch = windows.__getitems__(recorded["window_index"][step].tolist())
        values = loss_of.values(network(batch.input), batch.target)
        loss = loss_of.weigh(values).sum()
        tolerance = TOLERANCES[name][step]
        np.testing.assert_allclose(loss.item(), recorded["loss"][step], rtol=tolerance)
        if tolerance <= 1e-5:
            terms = values.detach().numpy()[:, columns]
            np.testing.assert_allclose(terms, recorded["terms"][step], rtol=10 * tolerance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    esr = _validation_esr(network, recordings)
    np.testing.assert_allclose(esr, recorded["val_esr_after"], rtol=ESR_TOLERANCE[name])


@pytest.mark.parametrize("name", CASES)
def test_the_peers_final_weights_score_the_same_here(
    golden: Path, reamp: Path, experiment_config: Any, name: str
) -> None:
    recorded, _ = _recorded(golden, name)
    _, recordings, network = _prepare(experiment_config, reamp, name)
    _load(network, recorded, "final")
    esr = _validation_esr(network, recordings)
    np.testing.assert_allclose(esr, recorded["val_esr_after"], rtol=1e-5)
