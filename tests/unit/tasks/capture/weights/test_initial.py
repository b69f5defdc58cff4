"""A training that starts from weights which are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from namexp.errors import UserError
from namexp.models.streaming import play
from namexp.models.wavenet import PackedWaveNet, WaveNet
from namexp.nam.model import write_nam
from namexp.tasks.capture.config.model import ModelPlan
from namexp.tasks.capture.weights.exporting import assemble
from namexp.tasks.capture.weights.initial import load_initial, start_from
from tests.architectures import pack

PLAN = ModelPlan("packed_wavenet", tuple(pack(2, 4)))
X = torch.linspace(-1, 1, 400).sin()[None]


def _file(network: PackedWaveNet, path: Path, target_scale: float) -> Path:
    training: list[dict[str, Any]] = [{"submodel": name} for name in network.names]
    model = assemble(
        network, PLAN, sample_rate=48000, target_scale=target_scale, max_values=[0.5, 1.0], user={},
        training=training,
    )  # fmt: skip
    write_nam(model, path)
    return path


@pytest.mark.parametrize(("old_scale", "new_scale"), [(1.0, 1.0), (2.0, 2.0), (2.0, 0.5), (1.0, 3.0)])
def test_a_container_goes_on_as_a_pack_at_the_level_it_is_trained_at(
    tmp_path: Path, old_scale: float, new_scale: float
) -> None:
    old, new = PackedWaveNet(PLAN.submodels), PackedWaveNet(PLAN.submodels)
    path = _file(old, tmp_path / "old.nam", old_scale)
    start_from(new, load_initial(str(path), new), new_scale)
    # at the level of the recording both play the same
    expected = play(old, X) / old_scale
    torch.testing.assert_close(
        play(new, X) / new_scale, expected, rtol=0, atol=1e-6 * float(expected.abs().max())
    )


def test_the_weights_count_and_not_the_files_name(tmp_path: Path) -> None:
    one, two = PackedWaveNet(PLAN.submodels), PackedWaveNet(PLAN.submodels)
    first = _file(one, tmp_path / "a.nam", 1.0)
    again = _file(one, tmp_path / "b.nam", 1.0)
    other = _file(two, tmp_path / "c.nam", 1.0)
    sha = [load_initial(str(path), one).sha256 for path in (first, again, other)]
    assert sha[0] == sha[1] != sha[2]


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    path = _file(PackedWaveNet(PLAN.submodels), tmp_path / "old.nam", 1.0)
    three = PackedWaveNet(tuple(pack(2, 4, 6)))
    with pytest.raises(UserError, match=r"holds 2 WaveNets and the model trains 3"):
        load_initial(str(path), three)
    wider = PackedWaveNet(tuple(pack(2, 5)))
    with pytest.raises(UserError, match=r"submodel 1 has layer_arrays\[0\]\.channels = 4, the model 5"):
        load_initial(str(path), wider)
    with pytest.raises(UserError, match="no such file"):
        load_initial(str(tmp_path / "nowhere.nam"), wider)


def test_one_wavenet_from_a_single_file(tmp_path: Path) -> None:
    spec = PLAN.submodels[1].spec
    plan = ModelPlan("wavenet", (PLAN.submodels[1],))
    old, new = WaveNet(spec), WaveNet(spec)
    model = assemble(
        old, plan, sample_rate=48000, target_scale=1.0, max_values=None, user={}, training=[{"submodel": "x"}]
    )
    write_nam(model, tmp_path / "one.nam")
    start_from(new, load_initial(str(tmp_path / "one.nam"), new), 1.0)
    assert torch.equal(new.export_weights(), old.export_weights())
