"""Weights of flows from every form in which they are stored, and their averages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow, averaged, load_weights
from namexp.models.waveflow.states import state_of
from tests.unit.models.waveflow_specs import ALL, NANOFLOW, WAVEFLOW, lively, pair


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small pictures gain nothing from two, which wait for each other on a busy machine."""
    torch.set_num_threads(1)


def _newer(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        state = {k.replace(old, f"parametrizations.weight.{new}"): v for k, v in state.items()}
    return state


def _stored(source: WaveFlow, form: str) -> object:
    state = dict(source.state_dict())
    if form == "official":
        return {"model": state, "iteration": 5000}
    if form == "parallel":
        return {"model": {f"module.{name}": value for name, value in state.items()}}
    if form == "cached":
        return state | {"h_cache": torch.zeros(1)}  # stale: it is computed from the others
    if form == "newer":
        return _newer(state)
    return _fused(source)


def _fused(source: WaveFlow) -> dict[str, Tensor]:
    """As the official synthesis leaves a model: a cache for the embedding, one conditioning convolution."""
    state = dict(source.as_played().state_dict())
    for name in [name for name in state if "filter_gate_conv_c" in name]:
        stem, kind = name.split("res_blocks.")[0], name.rsplit(".", 1)[1]
        fused = f"{stem}fused_filter_gate_conv_c.{kind}"
        value = state.pop(name)
        state[fused] = torch.cat([state[fused], value]) if fused in state else value
    return state


@pytest.mark.parametrize("form", ["official", "parallel", "cached", "newer", "fused"])
@pytest.mark.parametrize("name", ALL)
def test_every_form_loads(name: str, form: str) -> None:
    source, target = lively(ALL[name]).double(), WaveFlow(ALL[name]).double()
    stored = _stored(source, form)
    assert load_weights(target, stored, source="waveflow_5000") == ()
    audio, mel = pair(ALL[name], 12)
    with torch.no_grad():
        torch.testing.assert_close(target(audio, mel)[0], source(audio, mel)[0], rtol=0.0, atol=1e-12)
    if form != "fused":
        assert all(torch.equal(v, source.state_dict()[k]) for k, v in target.state_dict().items())


def test_the_embedding_may_be_normed_or_not() -> None:
    normed, plain = lively(replace(NANOFLOW, use_weightnorm_embed=True)), WaveFlow(NANOFLOW)
    load_weights(plain, normed.state_dict(), source="a file")
    torch.testing.assert_close(plain.flow_terms(), normed.flow_terms())
    again = WaveFlow(normed.spec)
    load_weights(again, plain.state_dict(), source="a file")
    torch.testing.assert_close(again.flow_terms(), normed.flow_terms())


def test_what_does_not_fit_is_named_and_nothing_is_loaded() -> None:
    target = WaveFlow(WAVEFLOW)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    state = dict(target.state_dict())
    key = "flows.0.coupling.proj_log_s_t.scale"
    cases = {
        f"missing: {key}.": {k: v for k, v in state.items() if k != key},
        "unexpected: flows.9.multgate.": state | {"flows.9.multgate": torch.zeros(1)},
        f"of another shape: {key} (3,) where (1, 2, 1, 1) is expected.": state | {key: torch.zeros(3)},
    }
    for told, wrong in cases.items():
        with pytest.raises(UserError) as caught:
            load_weights(target, {"model": wrong}, source="waveflow_5000")
        assert str(caught.value) == f"waveflow_5000: the weights do not fit the model: {told}"
    for content in (7, {}, {"model": 3}, {"generator": {}}):
        with pytest.raises(UserError, match="waveflow_5000: no weights of a flow"):
            state_of(content, "waveflow_5000")
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_partly_fitting_weights_are_loaded_where_they_are_wanted() -> None:
    source, target = lively(WAVEFLOW), WaveFlow(replace(WAVEFLOW, n_flow=4, n_mels=7))
    before = {name: value.clone() for name, value in target.state_dict().items()}
    told = load_weights(target, source.state_dict(), source="a file", partial=True)
    loaded = {name for name, value in target.state_dict().items() if not torch.equal(value, before[name])}
    assert all("filter_gate_conv_c.weight" not in name and "flows.3" not in name for name in loaded)
    assert all(torch.equal(target.state_dict()[name], source.state_dict()[name]) for name in loaded)
    assert "missing: flows.3.coupling.proj_log_s_t.scale" in told
    shape = "(16, 5, 1, 1) where (16, 7, 1, 1) is expected"
    assert any(line.startswith("of another shape: ") and line.endswith(shape) for line in told)
    with pytest.raises(UserError, match="none of its weights fits the model"):
        load_weights(target, {"w": torch.zeros(1)}, source="a file", partial=True)


def _checkpoints() -> list[tuple[str, dict[str, Tensor]]]:
    return [
        (f"waveflow_{n}", {"w": torch.randn(3), "n": torch.tensor(n), "h_cache": torch.randn(n)})
        for n in (3, 2, 1)
    ]


def test_averages() -> None:
    checkpoints = _checkpoints()
    w = torch.stack([state["w"] for _, state in checkpoints]).double()
    plain = averaged(checkpoints)
    assert plain.keys() == {"w", "n"}
    assert int(plain["n"]) == 3
    assert torch.equal(plain["w"], w.mean(dim=0).float())
    weights = 0.1 * 0.9 ** torch.arange(3.0, dtype=torch.float64)
    polyak = averaged(checkpoints, epsilon=0.1)["w"]
    torch.testing.assert_close(polyak, (weights[:, None] * w).sum(dim=0).float(), rtol=1e-7, atol=0.0)
    normalized = averaged(checkpoints, epsilon=0.1, normalize=True)["w"]
    torch.testing.assert_close(normalized, polyak / (1 - 0.9**3))
    assert torch.equal(averaged(checkpoints[:1], count=1)["w"], checkpoints[0][1]["w"])
    half = averaged([(source, {"w": state["w"].half()}) for source, state in checkpoints])["w"]
    assert half.dtype == torch.float32


def test_averages_of_what_does_not_belong_together_are_refused() -> None:
    a, b = {"w": torch.zeros(2, 3)}, {"w": torch.zeros(2, 4)}
    with pytest.raises(
        UserError, match=r"b and a are of different models: w has shapes \(2, 4\) and \(2, 3\)"
    ):
        averaged([("a", a), ("b", b)])
    with pytest.raises(UserError, match="v is in b and not in a"):
        averaged([("a", a), ("b", a | {"v": torch.zeros(1)})])
    with pytest.raises(UserError, match=r"average \(= 10\) asks for more checkpoints than there are: 1"):
        averaged([("a", a)], count=10)
    with pytest.raises(UserError, match=r"epsilon \(= 0\) must be above 0"):
        averaged([("a", a)], epsilon=0)
