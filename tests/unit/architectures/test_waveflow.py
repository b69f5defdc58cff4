"""Flows in numbers: the published counts, and what the networks really are and do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from namexp.architectures.waveflow import FlowSpec, check_flow, check_samples
from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow
from tests.unit.models.waveflow_specs import ALL, DECOMP, KEPT, WAVEFLOW, drawn

R64 = FlowSpec("waveflow", 80, 16, 8, 8, 64)
R128 = replace(R64, res_channels=128)
NANO = replace(R128, kind="nanoflow", size_flow_embed=512)
TABLE = {
    "waveflow_h16_r64": (R64, 5950180, 5925090, 5925090),
    "waveflow_h16_r128": (R128, 22385892, 22335714, 22335714),
    "nanoflow_emb512": (NANO, 3865188, 3856866, 2818530),
    "nanoflow_emb1024_f16": (replace(NANO, n_flow=16, size_flow_embed=1024), 4936324, 4928002, 2845186),
    "decomp": (replace(R128, kind="decomp"), 2800228, 2793954, 2793954),
    "naive": (replace(R128, kind="naive"), 2798408, 2792134, 2792134),
    "kept_r64": (replace(R64, coupling="keep_first"), 5950164, 5925074, 5925074),
    "kept_r128": (replace(R128, coupling="keep_first"), 22385876, 22335698, 22335698),
}


@pytest.mark.parametrize("name", TABLE)
def test_counts_are_the_published_ones(name: str) -> None:
    spec, training, plain, synthesis = TABLE[name]
    found = spec.num_parameters_training, spec.num_parameters_plain, spec.num_parameters
    assert found == (training, plain, synthesis)
    assert spec.receptive_field == 8176


@pytest.mark.parametrize("seed", range(12))
def test_counts_are_those_of_the_networks(seed: int) -> None:
    spec = drawn(seed)
    with torch.device("meta"):
        learned, played = WaveFlow(spec), WaveFlow(spec, played=True)
    assert sum(p.numel() for p in learned.parameters()) == spec.num_parameters_training
    assert sum(p.numel() for p in played.parameters()) == spec.num_parameters


def test_the_tiny_one() -> None:
    assert FlowSpec("nanoflow", 80, 16, 4, 4, 16, size_flow_embed=16).num_parameters_training == 34500


@pytest.mark.parametrize("spec", [WAVEFLOW, DECOMP, KEPT])
def test_costs_of_a_forward_pass(spec: FlowSpec) -> None:
    """Those that the network runs, less what zeros above the picture cost."""
    model, audio, mel = WaveFlow(spec), torch.zeros(1, 2048), torch.zeros(1, spec.n_mels, 8)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(audio, mel)
    r, rows, h = spec.res_channels, spec.transformed_rows, spec.n_height
    above = sum(min(rows, k * d) for d in spec.height_dilations for k in (1, 2))
    zeros = spec.n_flow * 2 * r * r * 3 * above / h
    run = counter.get_total_flops() / 2 / 2048
    assert spec.macs_per_sample == pytest.approx(run - zeros, abs=0.5)


def test_a_shared_estimator_is_conditioned_once() -> None:
    assert R128.macs_per_sample == R128.macs_per_sample_inverse
    assert NANO.macs_per_sample - NANO.macs_per_sample_inverse == 7 * 8 * 256 * 80


def test_dilations() -> None:
    assert replace(R64, n_layer_per_cycle=3).height_dilations == (1, 2, 4, 1, 2, 4, 1, 2)
    assert replace(R64, n_layer_per_cycle=5).height_dilations == (1, 2, 4, 8, 16, 1, 2, 4)
    listed = (1, 2, 4, 8, 16, 32, 64, 1)
    assert replace(R64, n_height=128, dilations_h=listed).height_dilations == listed
    assert R64.width_dilations == (1, 2, 4, 8, 16, 32, 64, 128)


def test_permutations_and_the_rows_of_the_conditioner() -> None:
    spec = FlowSpec("waveflow", 5, 4, 3, 1, 4, permutation="bipartized")
    assert [spec.permutation_of(i) for i in range(3)] == [(3, 2, 1, 0), (1, 0, 3, 2), (1, 0, 3, 2)]
    assert spec.conditioner_orders == ((3, 2, 1, 0), (2, 3, 0, 1), (3, 2, 1, 0))
    kept = replace(spec, coupling="keep_first")
    assert kept.conditioner_orders == ((0, 1, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1))


def test_lengths() -> None:
    assert (R64.num_samples(63), R64.num_samples(63, official=True)) == (15872, 15360)
    assert replace(R64, n_height=15).num_samples(3) == 510
    assert R64.num_samples(0) == 0
    check_samples(R64, 16000, "audio")
    with pytest.raises(UserError, match=r"audio \(= 16001 samples\) .* n_height 16: 16000 or 16016\."):
        check_samples(R64, 16001, "audio")
    with pytest.raises(UserError, match="n_height 16: 16"):
        check_samples(R64, 3, "audio")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"n_flow": 0}, "model.n_flow (= 0) must be at least 1."),
        ({"n_height": 1}, "model.n_height (= 1) must be at least 2: a row needs one above it."),
        (
            {"n_height": 15, "permutation": "bipartized"},
            "model.n_height (= 15) must be even for permutation=bipartized, such as 16.",
        ),
        (
            {"dilations_h": (1, 2)},
            "model.dilations_h (= [1,2]) must have as many entries as model.n_layer: 8.",
        ),
        ({"dilations_h": (1,) * 7 + (0,)}, "every dilation must be at least 1"),
        (
            {"kind": "nanoflow"},
            "model.size_flow_embed (= None) must be at least 1 for a nanoflow, such as 512.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError) as error:
        check_flow(replace(R64, **changes), "model")
    assert expected in str(error.value)
    assert all(check_flow(spec, "model") is None for spec in ALL.values())
