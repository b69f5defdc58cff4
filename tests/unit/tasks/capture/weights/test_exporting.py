"""Best weights into files: whose they are, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from namexp.engine.checkpoint import load_checkpoint
from namexp.errors import UserError
from namexp.models.wavenet import PackedWaveNet
from namexp.runs.files import write_json
from namexp.tasks.capture.config.model import ModelPlan
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.weights.best import load_best
from namexp.tasks.capture.weights.exporting import assemble, container_thresholds
from tests.architectures import pack

PLAN = ModelPlan("packed_wavenet", tuple(pack(2, 4)))
ABOUT = {"model": {"channels": [2, 4]}, "seed": 0}


def _assemble(
    network: PackedWaveNet, thresholds: Any = "uniform", esrs: Sequence[float] = (0.1, 0.01)
) -> Any:
    return assemble(
        network,
        PLAN,
        sample_rate=48000,
        target_scale=1.0,
        max_values=container_thresholds(PLAN, thresholds, esrs),
        user={},
        training=[{"submodel": name, "validation_esr": i} for i, name in enumerate(network.names)],
    )


def _with_best_of(run: CaptureLayout, network: PackedWaveNet, index: int, about: dict[str, Any]) -> None:
    """Leave the checkpoint and the index of one submodel, as training does."""
    path = run.packed_best_submodel(index)
    entry = {"submodel_index": index, "checkpoint_path": path.name, "epoch": 7, "best_metric": 0.125}
    state = network.wavenets()[index].state_dict()
    torch.save({"namexp": about, "state_dict": state, "best": entry}, path)
    write_json(run.packed_best, {"submodels": [{**entry, "epoch": 6}]})  # the file itself knows best


def test_each_submodel_takes_its_own_best_and_else_keeps_its_weights(tmp_path: Path) -> None:
    run = CaptureLayout(tmp_path)
    trained, network = PackedWaveNet(PLAN.submodels), PackedWaveNet(PLAN.submodels)
    current = [w.export_weights() for w in network.wavenets()]
    _with_best_of(run, trained, 1, ABOUT)
    best = load_best(run, network, ABOUT)
    assert [(b.epoch, b.val_loss) for b in best] == [(None, None), (7, 0.125)]
    assert torch.equal(network.wavenets()[0].export_weights(), current[0])
    assert torch.equal(network.wavenets()[1].export_weights(), trained.wavenets()[1].export_weights())


def test_a_checkpoint_of_another_model_is_refused_although_its_sizes_add_up(tmp_path: Path) -> None:
    run = CaptureLayout(tmp_path)
    network = PackedWaveNet(PLAN.submodels)
    _with_best_of(run, network, 0, {**ABOUT, "model": {"channels": [4, 2]}})
    with pytest.raises(UserError, match=r"holds another model than config\.yaml says .*model\.channels"):
        load_best(run, network, ABOUT)


def test_a_diverged_submodel_is_named(tmp_path: Path) -> None:
    network = PackedWaveNet(PLAN.submodels)
    with torch.no_grad():
        next(network.wavenets()[1].parameters()).fill_(float("inf"))
    with pytest.raises(UserError, match="submodel 'channels_4' has diverged"):
        _assemble(network)


def test_a_container_names_its_submodels_and_tells_the_best_ones_esr() -> None:
    model = _assemble(PackedWaveNet(PLAN.submodels), [0.3, 1.0])
    assert model.metadata is not None
    assert model.metadata["training"] == {"submodels": ["channels_2", "channels_4"], "validation_esr": 1}
    assert [m.metadata["training"]["submodel"] for m in model.submodels] == ["channels_2", "channels_4"]


def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.ckpt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"broken\.ckpt: not a checkpoint that can be read"):
        load_checkpoint(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match="was not written by namexp"):
        load_checkpoint(path)
    with pytest.raises(UserError, match="no such file"):
        load_checkpoint(tmp_path / "nowhere.ckpt")
