"""What inspect tells: sizes, the fast path, and warnings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from namexp.architectures.wavenet import FilmSpec, WaveNetSpec
from namexp.models.wavenet import PackedWaveNet, WaveNet
from namexp.nam.compose import compose_container, compose_model
from namexp.nam.describe import describe_file
from namexp.nam.fast_path import fast_path
from namexp.nam.model import NamModel, to_document
from tests.architectures import PLAYABLE, layers, pack, wavenet


def _saved(document: dict[str, Any], folder: Path) -> Path:
    path = folder / "model.nam"
    path.write_text(json.dumps(document))
    return path


def _model(spec: WaveNetSpec) -> NamModel:
    return compose_model(WaveNet(spec), sample_rate=48000, target_scale=1.0, user={}, training={})


def _container() -> dict[str, Any]:
    network = PackedWaveNet(pack(2, 5))
    models = [
        compose_model(w, sample_rate=48000, target_scale=1.0, user={}, training={})
        for w in network.wavenets()
    ]
    return to_document(compose_container(models, [0.4, 1.0], user={}, training={}))


def test_an_ordinary_file(tmp_path: Path) -> None:
    spec = PLAYABLE["two_arrays"]
    described = describe_file(_saved(to_document(_model(spec)), tmp_path))
    assert described["loads"] is True
    assert described["reason"] is None
    assert described["architecture"] == "WaveNet"
    assert described["channels"] == [4, 2]
    assert described["receptive_field"] == spec.receptive_field
    assert described["num_weights"] == spec.num_weights
    assert described["macs_per_sample"] == spec.macs_per_sample
    assert described["sample_rate"] == 48000
    assert described["fast_path"] is None
    assert described["warnings"] == []


def test_a_container_lists_its_submodels_and_thresholds(tmp_path: Path) -> None:
    described = describe_file(_saved(_container(), tmp_path))
    assert described["thresholds"] == [0.4, 1.0]
    assert [s["channels"] for s in described["submodels"]] == [[2], [5]]
    assert described["macs_per_sample"] == described["submodels"][1]["macs_per_sample"]
    assert described["warnings"] == []


def test_a_containers_loudness_that_is_not_its_best_submodels_is_told(tmp_path: Path) -> None:
    document = _container()
    document["metadata"]["loudness"] = -18.0
    (warning,) = describe_file(_saved(document, tmp_path))["warnings"]
    assert "loudness (-18.00 dB) is not that of its best submodel" in warning


def test_a_submodel_that_can_never_play_is_told(tmp_path: Path) -> None:
    document = _container()
    document["config"]["submodels"][0]["max_value"] = -1.0
    (warning,) = describe_file(_saved(document, tmp_path))["warnings"]
    assert "submodel 0 can never play" in warning


def test_what_the_runtime_plays_otherwise_is_told(tmp_path: Path) -> None:
    spec = wavenet(layers(layer1x1_post_film={"active": True}))
    (warning,) = describe_file(_saved(to_document(_model(spec)), tmp_path))["warnings"]
    assert "layer1x1_post_film is skipped by version 0.5.5" in warning


def test_a_file_that_does_not_load_says_why(tmp_path: Path) -> None:
    document = _container()
    document["config"]["submodels"][0]["max_value"] = 1.0
    described = describe_file(_saved(document, tmp_path))
    assert described["loads"] is False
    assert (
        described["reason"]
        == "config.submodels[1].max_value (= 1.0) must be above the one before it (= 1.0)."
    )
    assert described["architecture"] == "SlimmableContainer"


def test_the_fast_path_takes_exactly_the_a2_shapes(experiment_config: Any) -> None:
    small, large = (s.spec for s in experiment_config("model=packed_wavenet").plan.submodels)
    assert (fast_path(small), fast_path(large)) == ("A2-Lite", "A2-Full")
    assert fast_path(replace(large, head_scale=0.5)) == "A2-Full", "head_scale is free"
    (array,) = large.layer_arrays
    others = [
        replace(array, head=replace(array.head, kernel_size=1)),
        replace(array, head=replace(array.head, bias=False)),
        replace(array, layers=array.layers[:-1]),
        replace(array, layers=(replace(array.layers[0], dilation=2), *array.layers[1:])),
        replace(array, films={"conv_pre_film": FilmSpec(active=True)}),
        replace(array, channels=4, bottleneck=4),
        replace(array, groups_input=2),
    ]
    for other in others:
        assert fast_path(replace(large, layer_arrays=(other,))) is None
    (four,) = (s.spec for s in experiment_config("model=packed_wavenet", "model.channels=[4]").plan.submodels)
    assert fast_path(four) is None


@pytest.mark.parametrize("name", ["gated", "condition", "top_head"])
def test_other_networks_take_the_general_code(name: str) -> None:
    assert fast_path(PLAYABLE[name]) is None
