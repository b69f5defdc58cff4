"""Files of the official flow codes: opened, played by the commands, exported, opened again."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec
from namexp.errors import UserError
from namexp.models.waveflow import Noise, WaveFlow
from namexp.official import load_official
from namexp.schema.initial import Averaging, Initial
from namexp.tasks.known import doors_at
from namexp.tasks.vocoder.flows.exporting import export
from namexp.tasks.vocoder.flows.loading import load_flow, start_from
from namexp.tasks.vocoder.flows.playing import synthesised
from tests.parity.test_waveflow import arrays

pytestmark = pytest.mark.parity

NAMES = ("wf_nf_plain", "wf_nf_h8_cycle2", "wf_l0sg_plain", "nanoflow", "nanoflow_decomp")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def official_json(about: dict[str, Any]) -> dict[str, Any]:
    """As the official configurations say it."""
    kind = "nanoflow_decomp" if about["kind"] == "decomp" else about["kind"]
    names = ("cin_channels", "res_channels", "n_height", "n_flow", "n_layer", "n_layer_per_cycle")
    model = {"model_name": "golden", "coupling_type": kind, **{name: about[name] for name in names}}
    if about["size_flow_embed"]:
        model |= {"size_flow_embed": about["size_flow_embed"], "use_weightnorm_embed": "False"}
    data = {
        "sampling_rate": 22050, "filter_length": 1024, "hop_length": 256, "win_length": 1024,
        "mel_fmin": 0.0, "mel_fmax": 8000.0,
    }  # fmt: skip
    return {"waveflow_config": model, "data_config": data}


def files(golden: Path, name: str, folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """``waveflow_5000`` with its configuration beside it, and what is recorded of it."""
    about = json.loads((golden / "vocoder" / "index.json").read_text())["flows"][name]
    place = golden / "vocoder" / ("nanoflow" if name.startswith("nanoflow") else "waveflow")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "waveflow_5000"
    torch.save({"model": load_file(place / f"{name}.safetensors"), "iteration": 5000}, path)
    (folder / "config.json").write_text(json.dumps(official_json(about)))
    return path, arrays(place / f"{name}_io.npz")


@pytest.mark.parametrize("name", NAMES)
def test_an_official_file_is_a_model(golden: Path, tmp_path: Path, name: str) -> None:
    path, there = files(golden, name, tmp_path)
    mapping = json.loads((tmp_path / "config.json").read_text())
    for model in (load_official(path), load_official(str(path), mapping)):
        assert isinstance(model, WaveFlow)
        with torch.no_grad():
            z, logdet = model(there["x"], there["c"])
        torch.testing.assert_close(z, there["z"], rtol=0, atol=2e-6)
        torch.testing.assert_close(logdet, there["logdet"].view(()), rtol=1e-5, atol=0)
        for play in (model.inverse, model.synthesizer()):
            torch.testing.assert_close(play(there["z"], there["c"]), there["x_reverse"], rtol=0, atol=2e-6)


def test_what_their_programs_leave_in_files_is_understood(golden: Path, tmp_path: Path) -> None:
    path, there = files(golden, "nanoflow", tmp_path)
    state = torch.load(path, weights_only=True)["model"]
    parallel = {f"module.{key}": value for key, value in state.items()}
    stale = {**parallel, "module.h_cache": torch.zeros(1)}
    torch.save({"model": stale}, tmp_path / "other.pt")
    model = load_official(tmp_path / "other.pt")
    torch.testing.assert_close(model(there["x"], there["c"])[0], there["z"], rtol=0, atol=2e-6)
    torch.save({"model": model.as_played().state_dict()}, tmp_path / "fused.pt")
    fused = load_official(tmp_path / "fused.pt", tmp_path / "config.json")
    torch.testing.assert_close(fused(there["x"], there["c"])[0], there["z"], rtol=0, atol=2e-6)


def test_the_other_repository_bipartizes_under_its_own_name(golden: Path, tmp_path: Path) -> None:
    path, _ = files(golden, "wf_l0sg_plain", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["waveflow_config"]["coupling_type"] = "waveflow_bipartize"
    spec = load_official(path, config).spec
    assert isinstance(spec, FlowSpec)
    assert (spec.permutation, spec.coupling) == ("bipartized", "keep_first")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_played_and_exported_by_command(golden: Path, tmp_path: Path, name: str) -> None:
    path, there = files(golden, name, tmp_path / "official")
    mel = there["c"][0]
    np.save(tmp_path / "a.npy", mel.numpy())
    for out in ("one", "two"):
        arguments = _synthesis(path, tmp_path / "a.npy", tmp_path / out)
        assert len(list(doors_at(path).synthesize(arguments))) == 1
    one, two = (soundfile.read(tmp_path / out / "generated-a.wav")[0] for out in ("one", "two"))
    assert one.size == 256 * (mel.shape[1] - 1)
    assert np.array_equal(one, two)
    again = export(path, tmp_path / "again" / "waveflow_1")
    assert [p.name for p in again] == ["waveflow_1", "config.json"]
    before, after = (torch.load(p, weights_only=True) for p in (path, again[0]))
    assert before["model"].keys() == after["model"].keys()
    assert all(torch.equal(value, after["model"][key]) for key, value in before["model"].items())
    assert after["iteration"] == 5000
    assert json.loads(again[1].read_text())["waveflow_config"].items() >= {
        k: v for k, v in json.loads((path.parent / "config.json").read_text())["waveflow_config"].items()
        if k != "model_name"
    }.items()  # fmt: skip


def _synthesis(model: Path, source: Path, output: Path, **more: Any) -> Namespace:
    plain = {
        "model": model, "inputs": [source], "output": output, "config": None, "float": True,
        "mel_scale": "natural", "match_length": False, "chunk_seconds": None, "test": False,
        "expected_files": 3, "accept_untested": False, "temperature": "0.7", "seed": 5, "latent": None,
        "trim": None, "average": None, "epsilon": None, "normalize": False,
    }  # fmt: skip
    return Namespace(**{**plain, **more})


def test_trimmed_as_theirs_it_ends_two_hops_earlier(golden: Path, tmp_path: Path) -> None:
    path, there = files(golden, "wf_nf_plain", tmp_path / "official")
    mel = there["c"][:1]
    np.save(tmp_path / "a.npy", mel[0].numpy())
    list(doors_at(path).synthesize(_synthesis(path, tmp_path / "a.npy", tmp_path / "out", trim="official")))
    audio = soundfile.read(tmp_path / "out" / "generated-a.wav", dtype="float32")[0]
    samples = 256 * (mel.shape[2] - 3)
    assert audio.size == samples
    z = Noise(16, seed=5, temperature=0.7).columns(samples // 16)
    expected = load_official(path).inverse(z, mel)[0]
    torch.testing.assert_close(torch.from_numpy(audio), expected, rtol=0, atol=2e-5)


def test_the_mean_of_several_is_that_of_the_official_code(golden: Path, tmp_path: Path) -> None:
    path, there = files(golden, "nanoflow", tmp_path)
    state = torch.load(path, weights_only=True)["model"]
    for n, factor in ((10000, 2.0), (15000, 3.0)):
        torch.save({"model": {k: v * factor for k, v in state.items()}}, tmp_path / f"waveflow_{n}")
    (tmp_path / "waveflow_notes.txt").write_text("no checkpoint")
    plain = load_flow(tmp_path, averaging=Averaging(2)).network.state_dict()
    polyak = load_flow(tmp_path, averaging=Averaging(3, epsilon=0.1)).network.state_dict()
    whole = load_flow(tmp_path, averaging=Averaging(3, epsilon=0.1, normalize=True)).network.state_dict()
    weight = 0.1 * 3.0 + 0.09 * 2.0 + 0.081
    for key, value in state.items():
        torch.testing.assert_close(plain[key], value * 2.5)
        torch.testing.assert_close(polyak[key], value * weight)
        torch.testing.assert_close(whole[key], value * (weight / (0.1 + 0.09 + 0.081)))
    network = WaveFlow(load_official(path).spec)
    start_from(Initial(str(tmp_path), Averaging(2)), network)
    assert all(torch.equal(plain[key], value) for key, value in network.state_dict().items())
    with pytest.raises(UserError, match=r"holds 3 .* and 4 are to be averaged"):
        load_flow(tmp_path, averaging=Averaging(4))
    del there


def test_first_weights_fit_or_are_listed(golden: Path, tmp_path: Path) -> None:
    path, _ = files(golden, "wf_nf_plain", tmp_path)
    (tmp_path / "config.json").unlink()  # a training knows what it trains
    spec = FlowSpec("waveflow", 20, 16, 4, 4, 8)
    network = WaveFlow(spec)
    _, left = start_from(Initial(str(path)), network)
    assert left == ()
    state = torch.load(path, weights_only=True)["model"]
    assert all(torch.equal(network.state_dict()[key], value) for key, value in state.items())
    wider = WaveFlow(FlowSpec("waveflow", 20, 16, 4, 4, 10))
    with pytest.raises(UserError, match=r"of another shape: .* \(8, .* where \(10, .* is expected"):
        start_from(Initial(str(path)), wider)
    _, left = start_from(Initial(str(path), partial=True), wider)
    assert any(line.startswith("of another shape: flows.0.coupling.net.front_conv") for line in left)
    taken = wider.state_dict()["upsample_conv.0.weight_v"]
    assert torch.equal(taken, state["upsample_conv.0.weight_v"])


def test_same_weights_play_the_same_from_our_file(golden: Path, tmp_path: Path) -> None:
    path, there = files(golden, "nanoflow_decomp", tmp_path)
    (file,) = export(path, tmp_path / "model.safetensors")
    played = [
        synthesised(load_flow(p).network, there["c"][0], 1024, temperature=1.0, seed=3) for p in (path, file)
    ]
    torch.testing.assert_close(*played, rtol=0, atol=2e-6)
