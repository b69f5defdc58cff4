"""What a flow makes of a clip: drawn where its sample stands, and beside what it should be."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch

from namexp.architectures.waveflow import FlowSpec
from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.comparison.charts import read_charts
from namexp.models.waveflow import WaveFlow
from namexp.tasks.vocoder.flows.charts import in_order, latent_charts
from tests.unit.models.waveflow_specs import ALL, drawn, lively

MEL = MelSpec(centered=True)


def still(spec: FlowSpec) -> WaveFlow:
    """A flow that permutes and does nothing else."""
    model = WaveFlow(spec)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj_log_s_t" in name:
                parameter.zero_()
    return model


@pytest.mark.parametrize("seed", range(6))
def test_noise_stands_where_its_sample_stood(seed: int) -> None:
    spec = drawn(seed)
    samples = 40 * spec.n_height
    audio, mel = torch.randn(1, samples), torch.randn(1, spec.n_mels, -(-samples // spec.hop_length))
    with torch.no_grad():
        z, logdet = still(spec)(audio, mel)
    assert float(logdet) == 0.0
    assert torch.equal(in_order(z, still(spec)), audio[0])


def charts(model: WaveFlow, audio: torch.Tensor) -> dict[str, Any]:
    damages: list[str] = []
    declared = [dict(chart) for chart in latent_charts(model, audio, MEL, "a clip")]
    found = read_charts({"charts": declared}, damages)
    assert damages == [], "the page draws every one of them"
    return {chart.title: chart for chart in found}


def test_white_noise_is_drawn_as_it_should_be() -> None:
    audio = torch.randn(3 * MEL.sample_rate, generator=torch.Generator().manual_seed(0))
    found = charts(still(FlowSpec("waveflow", 80, 16, 3, 1, 4)), audio)
    log_s = found["log s, flow by flow"]
    assert log_s.lines == {"mean": ((1, 0), (2, 0), (3, 0))}
    assert log_s.bands["min to max"] == ((1, 0, 0), (2, 0, 0), (3, 0, 0))
    shape = found["z against the Gaussian"]
    assert sum(y for _, y in shape.bars["z"]) * 0.2 == pytest.approx(1.0, abs=1e-3)
    for (x, seen), (_, normal) in zip(shape.bars["z"], shape.lines["Gaussian"], strict=True):
        assert normal == pytest.approx(math.exp(-x * x / 2) / math.sqrt(2 * math.pi), rel=1e-4)
        assert seen == pytest.approx(normal, abs=0.01)
    assert "a clip, 3.0 s: mean" in shape.note
    assert "beyond" not in shape.note
    tails = found["z against the Gaussian, by logarithms"]
    assert tails.log
    assert all(y > 0 for _, y in tails.bars["z"])
    spectrum = found["Spectrum of z"]
    assert spectrum.levels == {"white noise": 0.0}
    levels = [y for _, y in spectrum.lines["z"]]
    assert sum(levels) / len(levels) == pytest.approx(0.0, abs=0.1)
    assert max(map(abs, levels)) < 2.5
    assert 0 < spectrum.lines["z"][0][0] < spectrum.lines["z"][-1][0] < MEL.sample_rate / 2000


def test_what_is_no_noise_is_seen() -> None:
    t = torch.arange(2 * MEL.sample_rate) / MEL.sample_rate
    found = charts(still(FlowSpec("naive", 80, 16, 2, 1, 4)), 8 * torch.sin(2 * math.pi * 5000 * t))
    peak = max(found["Spectrum of z"].lines["z"], key=lambda point: point[1])
    assert peak[0] == pytest.approx(5.0, abs=0.05)
    assert peak[1] > 20
    told = re.search(r"; ([\d.]+)% lie beyond ±6$", found["z against the Gaussian"].note)
    assert told is not None
    assert float(told[1]) == pytest.approx(200 * math.acos(6 / 8) / math.pi, abs=0.1)


@pytest.mark.parametrize("kind", ALL)
def test_scales_are_those_of_every_flow(kind: str) -> None:
    spec = ALL[kind]
    spec = FlowSpec(**{**spec.__dict__, "n_mels": 80})
    model = lively(spec).eval()
    audio = 0.3 * torch.randn(256 * 20, generator=torch.Generator().manual_seed(1))
    (scales, *_) = latent_charts(model, audio, MEL, "a")
    with torch.no_grad():
        log_s = model.details(audio[None], log_mel(audio[None], MEL)).log_s
    assert [x for x, _ in scales["lines"]["mean"]] == [1, 2, 3]
    for own, (_, mean), (_, low, high), (_, least, most) in zip(
        log_s, scales["lines"]["mean"], scales["bands"]["mean ± std"], scales["bands"]["min to max"],
        strict=True,
    ):  # fmt: skip
        std = float(own.std(correction=0))
        assert mean == pytest.approx(float(own.mean()), abs=1e-4)
        assert (low, high) == pytest.approx((mean - std, mean + std), abs=1e-4)
        assert (least, most) == pytest.approx((float(own.min()), float(own.max())), abs=1e-4)
