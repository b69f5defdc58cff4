"""Levels restored, metadata, and thresholds: from networks to a file's model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from namexp.architectures.wavenet import WaveNetSpec
from namexp.audio.level import db
from namexp.errors import UserError
from namexp.models.streaming import play
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from namexp.nam.compose import compose_container, compose_model, restore_level
from namexp.nam.metadata import measure_loudness
from namexp.nam.model import NamModel, read_nam, to_document, write_nam
from namexp.nam.verify import ExportError, played_rows, probe_signal, write_verified
from tests.architectures import PLAYABLE, SLIMMABLE, pack

SCALE = 1.9498


def _compose(network: Any, scale: float = 1.0) -> NamModel:
    return compose_model(
        network, sample_rate=48000, target_scale=scale, user={"name": "Amp"}, training={"seed": 3}
    )


def _randomised(network: Any) -> Any:
    # away from the initial weights, so that a mistake in their order would be heard
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("spec", PLAYABLE.values(), ids=PLAYABLE.keys())
def test_a_file_plays_what_the_network_plays(spec: WaveNetSpec, tmp_path: Path) -> None:
    network = _randomised(WaveNet(spec))
    write_nam(_compose(network), tmp_path / "model.nam")
    expected = played_rows(network, probe_signal())
    played = play(read_nam(tmp_path / "model.nam").network, probe_signal())[0]
    torch.testing.assert_close(played, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


def test_a_slimmable_file_plays_every_width(tmp_path: Path) -> None:
    network = _randomised(SlimmableWaveNet(SLIMMABLE))
    write_nam(_compose(network), tmp_path / "model.nam")
    document = json.loads((tmp_path / "model.nam").read_text())
    assert document["config"]["layers"][0]["slimmable"] == {
        "method": "slice_channels_uniform",
        "kwargs": {"allowed_channels": [2, 3, 6]},
    }
    expected = played_rows(network, probe_signal())
    played = play(read_nam(tmp_path / "model.nam").network, probe_signal())[0]
    assert played.shape[0] == 3
    for a, b in zip(expected, played, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-6 * float(a.abs().max()))


def test_the_layout_is_that_of_version_0_7_0() -> None:
    # the tiny file of the format's description, key by key
    spec_keys = {
        "input_size", "condition_size", "head", "channels", "kernel_sizes", "dilations", "activation",
        "bottleneck", "head1x1", "layer1x1", "groups_input", "groups_input_mixin", "conv_pre_film",
        "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film", "activation_pre_film",
        "activation_post_film", "layer1x1_post_film", "head1x1_post_film", "gating_mode",
        "secondary_activation", "slimmable",
    }  # fmt: skip
    document = to_document(_compose(WaveNet(PLAYABLE["plain"])))
    assert set(document) == {"version", "architecture", "config", "weights", "metadata", "sample_rate"}
    assert set(document["config"]) == {"layers", "head", "head_scale"}
    assert set(document["config"]["layers"][0]) == spec_keys
    assert document["config"]["layers"][0]["activation"] == [{"type": "Tanh"}] * 4
    assert document["sample_rate"] == 48000


@pytest.mark.parametrize("scale", [SCALE, 0.3])
def test_normalisation_is_undone_in_an_ordinary_model(scale: float, tmp_path: Path) -> None:
    network = _randomised(WaveNet(PLAYABLE["two_arrays"]))
    write_nam(_compose(network, scale), tmp_path / "model.nam")
    document = json.loads((tmp_path / "model.nam").read_text())
    assert document["config"]["head_scale"] == network.head_scale / scale
    assert document["weights"][-1] == pytest.approx(network.head_scale / scale, rel=1e-7)
    again = read_nam(tmp_path / "model.nam")
    assert again.metadata is not None
    measured = measure_loudness(again.network)[0]
    assert measured.loudness == pytest.approx(again.metadata["loudness"], abs=1e-3)
    trained = measure_loudness(network)[0]
    assert trained.loudness is not None
    assert again.metadata["loudness"] == pytest.approx(trained.loudness - db(scale), abs=1e-9)
    assert again.metadata["gain"] == trained.gain, "gain does not change with the level"


def _container(scale: float) -> tuple[PackedWaveNet, NamModel]:
    network = _randomised(PackedWaveNet(pack(2, 3, 5)))
    models = [
        compose_model(w, sample_rate=44100, target_scale=scale, user={}, training={"submodel": n})
        for w, n in zip(network.wavenets(), network.names, strict=True)
    ]
    return network, compose_container(models, [0.2, 0.5, 1.0], user={"name": "Amp"}, training={})


def test_normalisation_is_undone_in_every_submodel(tmp_path: Path) -> None:
    network, container = _container(SCALE)
    write_nam(container, tmp_path / "model.nam")
    document = json.loads((tmp_path / "model.nam").read_text())
    again = read_nam(tmp_path / "model.nam")
    for entry, wavenet, model in zip(
        document["config"]["submodels"], network.wavenets(), again.submodels, strict=True
    ):
        assert entry["model"]["config"]["head_scale"] == wavenet.head_scale / SCALE
        assert entry["model"]["weights"][-1] == pytest.approx(wavenet.head_scale / SCALE, rel=1e-7)
        measured = measure_loudness(model.network)[0].loudness
        assert measured == pytest.approx(entry["model"]["metadata"]["loudness"], abs=1e-3)
    best = document["config"]["submodels"][-1]["model"]["metadata"]
    assert document["metadata"]["loudness"] == best["loudness"]
    assert document["metadata"]["gain"] == best["gain"]
    assert document["metadata"]["name"] == "Amp"
    assert document["weights"] == []
    assert document["sample_rate"] == 44100
    assert [e["max_value"] for e in document["config"]["submodels"]] == [0.2, 0.5, 1.0]
    expected = played_rows(network, probe_signal()) / SCALE
    played = play(again.network, probe_signal())[0]
    for a, b in zip(expected, played, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-6 * float(a.abs().max()))


def test_without_normalisation_head_scale_stays_exactly() -> None:
    network = WaveNet(PLAYABLE["two_arrays"])
    document = to_document(_compose(network, 1.0))
    assert document["config"]["head_scale"] == 0.02


def test_a_level_before_a_top_level_head_cannot_be_restored() -> None:
    with pytest.raises(UserError, match="top-level head"):
        restore_level(WaveNet(PLAYABLE["top_head"]), 2.0)


def test_composing_leaves_the_trained_network_alone() -> None:
    network = WaveNet(PLAYABLE["plain"]).train()
    before = network.export_weights()
    state = torch.random.get_rng_state()
    _compose(network, SCALE)
    assert torch.equal(network.export_weights(), before)
    assert network.training
    assert torch.equal(torch.random.get_rng_state(), state), "export draws no random numbers"


def test_loudness_and_gain_by_their_formulas() -> None:
    from namexp.audio.loudness_signal import loudness_signal

    network = WaveNet(PLAYABLE["plain"]).eval()
    signal = torch.from_numpy(loudness_signal())
    levels = [
        math.sqrt(float(play(network, (k / 10 * signal)[None]).double().pow(2).mean())) for k in range(11)
    ]
    high = 11 * levels[10]
    gain = min(1.0, max(0.0, (sum(levels) - 0.5 * high) / (0.5 * high)))
    (measured,) = measure_loudness(network)
    assert measured.loudness == pytest.approx(20 * math.log10(levels[10]), abs=1e-5)
    assert measured.gain == pytest.approx(gain, abs=1e-6)


def test_a_silent_network_has_no_loudness_and_its_file_is_still_strict_json(tmp_path: Path) -> None:
    network = WaveNet(PLAYABLE["plain"])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    write_nam(_compose(network, SCALE), tmp_path / "model.nam")
    document = json.loads((tmp_path / "model.nam").read_text())
    assert "loudness" not in document["metadata"]
    assert "gain" not in document["metadata"]


def test_a_file_that_plays_something_else_never_gets_its_name(tmp_path: Path) -> None:
    network = _randomised(WaveNet(PLAYABLE["plain"]))
    expected = played_rows(network, probe_signal())
    model = _compose(network)
    with torch.no_grad():
        model.network.get_parameter("layer_arrays.0.layers.0.conv.bias").add_(1e-3)
    with pytest.raises(ExportError, match="differs from the network"):
        write_verified(model, tmp_path / "model.nam", expected=expected, probe=probe_signal())
    assert list(tmp_path.iterdir()) == []
