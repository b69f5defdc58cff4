"""The official WaveFlow's and NanoFlow's outputs, at the tolerances recorded beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec
from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.models.waveflow import WaveFlow, averaged, load_weights, negative_log_likelihood
from namexp.models.waveflow.picture import permuted, shifted, squeeze, unsqueeze

pytestmark = pytest.mark.parity

NAMES = ("wf_nf_plain", "wf_nf_h8_cycle2", "wf_l0sg_plain", "nanoflow", "nanoflow_decomp")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small pictures gain nothing from two, which wait for each other on a busy machine."""
    torch.set_num_threads(1)


class Recorded:
    """One model: its weights, what goes in and what comes out."""

    def __init__(self, folder: Path, name: str) -> None:
        index = json.loads((folder / "index.json").read_text())
        self.about: dict[str, Any] = index["flows"][name]
        self.tolerances: dict[str, float] = index["tolerances"]
        place = folder / ("nanoflow" if name.startswith("nanoflow") else "waveflow")
        self.arrays = arrays(place / f"{name}_io.npz")
        about = self.about
        self.spec = FlowSpec(
            about["kind"], about["cin_channels"], about["n_height"], about["n_flow"], about["n_layer"],
            about["res_channels"], about["n_layer_per_cycle"], size_flow_embed=about["size_flow_embed"],
            permutation="bipartized" if about["bipartize"] else "reverse",
            coupling="keep_first" if about["repo"] == "WaveFlow" else "all_rows",
        )  # fmt: skip
        self.model = WaveFlow(self.spec)
        load_weights(self.model, {"model": load_file(place / f"{name}.safetensors")}, source=name)

    def near(self, found: Tensor, name: str, tolerance: str) -> None:
        torch.testing.assert_close(
            found.detach(), self.arrays[name], rtol=0.0, atol=self.tolerances[tolerance]
        )


def arrays(path: Path) -> dict[str, Tensor]:
    with np.load(path) as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


@pytest.fixture(params=NAMES)
def recorded(golden: Path, request: pytest.FixtureRequest) -> Recorded:
    return Recorded(golden / "vocoder", request.param)


def test_counts(recorded: Recorded) -> None:
    about = recorded.about
    assert recorded.spec.num_parameters_training == about["params_with_weight_norm"]
    assert recorded.spec.num_parameters_plain == about["params_plain"]
    assert list(recorded.spec.height_dilations) == about["dilation_h"]
    assert list(recorded.spec.width_dilations) == about["dilation_w"]


def test_forward(recorded: Recorded) -> None:
    there, model = recorded.arrays, recorded.model
    recorded.near(model.upsample_conv(there["c"]), "c_upsampled", "flow_c_upsampled")
    for suffix in ("", "_long"):
        z, logdet = model(there[f"x{suffix}"], there["c"])
        recorded.near(z, f"z{suffix}", "flow_z")
        relative = recorded.tolerances["flow_logdet_rel"]
        assert float(logdet.detach()) == pytest.approx(float(there[f"logdet{suffix}"]), rel=relative)
    found = model.details(there["x"], there["c"])
    for kind, values in (("log_s", found.log_s), ("t", found.t)):
        for i, value in enumerate(values):
            recorded.near(value, f"{kind}_{i}", "flow_z")


def test_likelihood(recorded: Recorded) -> None:
    there, tolerance = recorded.arrays, recorded.tolerances["losses"]
    with torch.no_grad():
        z, logdet = recorded.model(there["x"], there["c"])
        long = recorded.model(there["x_long"], there["c"])
    for name, expected in recorded.about["losses"].items():
        sigma = float(name.removeprefix("sigma_"))
        found = negative_log_likelihood(z, logdet, sigma=sigma)
        assert float(found) == pytest.approx(expected, abs=tolerance)
    expected = recorded.about["loss_long_sigma_1"]
    assert float(negative_log_likelihood(*long)) == pytest.approx(expected, abs=tolerance)


def test_inverse_and_samples(recorded: Recorded) -> None:
    there, synthesizer = recorded.arrays, recorded.model.synthesizer()
    tempered = there["temp"] * there["z_noise"]
    for play in (recorded.model.inverse, synthesizer):
        recorded.near(play(there["z"], there["c"]), "x_reverse", "flow_reverse")
        recorded.near(play(tempered, there["c"]), "x_sample", "flow_sample")
        if "x_sample_fast" in there:
            recorded.near(play(tempered, there["c"]), "x_sample_fast", "flow_sample")


def test_pictures_and_cache(recorded: Recorded) -> None:
    there, spec = recorded.arrays, recorded.spec
    if "x_squeezed" in there:
        assert torch.equal(squeeze(there["x"][:, None], spec.n_height), there["x_squeezed"])
        c = squeeze(there["c_upsampled"][:1, :, : there["x"].shape[1]], spec.n_height)
        assert torch.equal(c, there["c_squeezed_b0"])
    if "h_cache" in there:
        recorded.near(recorded.model.as_played().h_cache, "h_cache", "flow_z")


def test_index_functions(golden: Path) -> None:
    there = arrays(golden / "vocoder" / "waveflow" / "functions.npz")
    spec = FlowSpec("waveflow", 3, 8, 2, 1, 4, permutation="bipartized")
    assert torch.equal(permuted(there["a"], spec.permutation_of(0)), there["reverse_order"])
    assert torch.equal(permuted(there["a"], spec.permutation_of(1)), there["bipartize_reverse_order"])
    assert torch.equal(shifted(there["a"]), there["shift_1d"])
    for name in ("x", "c"):
        assert torch.equal(squeeze(there[f"squeeze_{name}_in"], 8), there[f"squeeze_{name}_out_h8"])
    assert torch.equal(unsqueeze(there["squeeze_x_out_h8"])[:, 0], there["unsqueeze_back"])


def test_averages(golden: Path) -> None:
    there = arrays(golden / "vocoder" / "waveflow" / "checkpoint_average.npz")
    checkpoints = [(str(n), {k: there[f"ckpt{n}_{k}"] for k in "wb"}) for n in (20000, 15000, 10000)]
    for name, found in (
        ("avg_last3", averaged(checkpoints, count=3)),
        ("polyak_eps0.1_last3", averaged(checkpoints, epsilon=0.1, count=3)),
    ):
        for key, value in found.items():
            torch.testing.assert_close(value, there[f"{name}_{key}"], rtol=0.0, atol=2.5e-7)


def test_tacotron_mel(golden: Path) -> None:
    there = arrays(golden / "vocoder" / "waveflow" / "tacotron_mel.npz")
    found = log_mel(there["wav"], MelSpec(centered=True))
    torch.testing.assert_close(found, there["mel"], rtol=0.0, atol=2e-3)
