"""Flows by their properties: the inverse, the log-determinant, causality, precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec
from namexp.errors import UserError
from namexp.models.waveflow import Noise, WaveFlow, negative_log_likelihood, prior_part
from namexp.models.waveflow.memory import training_memory
from namexp.models.waveflow.picture import permuted, shifted, squeeze, unsqueeze
from tests.unit.models.waveflow_specs import ALL, NANOFLOW, WAVEFLOW, drawn, lively, pair, stretch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small pictures gain nothing from two, which wait for each other on a busy machine."""
    torch.set_num_threads(1)


def test_a_picture_is_filled_column_by_column() -> None:
    x = torch.arange(6.0)[None]
    assert squeeze(x, 2).tolist() == [[[0, 2, 4], [1, 3, 5]]]
    assert torch.equal(unsqueeze(squeeze(x, 2)), x)
    rows = torch.arange(4.0).view(1, 1, 4, 1)
    assert permuted(rows, (1, 0, 3, 2)).flatten().tolist() == [1, 0, 3, 2]
    assert permuted(rows, (3, 2, 1, 0)).flatten().tolist() == [3, 2, 1, 0]
    assert shifted(rows).flatten().tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("seed", range(14))
def test_the_inverse_is_exact_slow_or_fast(seed: int) -> None:
    """At random over all that can be chosen, with log s up to 1.5; the model stays what it is."""
    spec = drawn(seed)
    audio, mel = pair(spec, 5 + 7 * (seed % 5))
    model = lively(spec).double()
    stretch(model, audio, mel, most=1.5)
    for dtype, tolerance, between in ((torch.float64, 1e-10, 1e-10), (torch.float32, 1e-5, 2e-6)):
        model, x, c = model.to(dtype), audio.to(dtype), mel.to(dtype)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with torch.no_grad():
            z, _ = model(x, c)
        slow, synthesizer = model.inverse(z, c), model.synthesizer()
        fast = synthesizer(z, c)
        assert sum(p.numel() for p in synthesizer.parameters()) == spec.num_parameters
        torch.testing.assert_close(slow, x, rtol=0.0, atol=tolerance)
        torch.testing.assert_close(fast, slow, rtol=0.0, atol=between)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        with torch.no_grad():
            assert torch.equal(model(x, c)[0], z)


@pytest.mark.parametrize("name", ALL)
def test_the_log_determinant_is_that_of_the_jacobian(name: str) -> None:
    spec = ALL[name]
    audio, mel = pair(spec, 3, batch=1)
    model = lively(spec).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x, mel)[0].flatten(), audio)
    expected = torch.linalg.slogdet(jacobian[:, 0]).logabsdet
    torch.testing.assert_close(model(audio, mel)[1], expected, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_a_flow_is_causal_in_height(name: str) -> None:
    """What a row becomes depends on no row below it."""
    spec = ALL[name]
    audio, mel = pair(spec, 4, batch=1)
    model = lively(spec).double()
    c, part = squeeze(torch.randn(1, spec.n_mels, audio.shape[1]).double(), spec.n_height), model.parts()[0]
    x = squeeze(audio[:, None], spec.n_height).contiguous()
    with torch.no_grad():
        before, *_ = model._transformed(x, c, part)
        for row in range(spec.n_height):
            changed = x.clone()
            changed[:, :, row] += 1.0
            after, *_ = model._transformed(changed, c, part)
            moved = (after != before).any(dim=-1).flatten().nonzero().flatten().tolist()
            assert moved[0] == row
    assert mel.shape[1] == spec.n_mels


def test_the_width_that_a_pass_looks_at() -> None:
    model = lively(WAVEFLOW).double()
    x = torch.randn(1, 1, 8, 41, dtype=torch.float64, requires_grad=True)
    part, c = model.parts()[0], torch.randn(1, 5, 8, 41, dtype=torch.float64)
    _, log_s, t = model._transformed(x, c, part)
    (gradient,) = torch.autograd.grad((log_s + t)[0, 0, :, 20].sum(), x)
    reached = gradient[0, 0].abs().sum(dim=0).nonzero().flatten().tolist()
    assert (reached[0], reached[-1]) == (20 - WAVEFLOW.reach_columns, 20 + WAVEFLOW.reach_columns)


@pytest.mark.parametrize("name", ALL)
def test_likelihood(name: str) -> None:
    """By the densities of torch; an untrained model knows no more than a Gaussian near 0."""
    spec = ALL[name]
    audio, mel = pair(spec, 12)
    model = lively(spec).double()
    z, logdet = model(audio, mel)
    for sigma in (1.0, 0.8):
        normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), sigma)
        expected = -(normal.log_prob(z).sum() + logdet) / z.numel()
        torch.testing.assert_close(negative_log_likelihood(z, logdet, sigma=sigma), expected)
    quiet = 0.01 * audio
    untrained = negative_log_likelihood(*WaveFlow(spec).double()(quiet, mel))
    assert float(untrained.detach()) == pytest.approx(0.5 * math.log(2 * math.pi), abs=0.01)
    assert float(prior_part(torch.zeros(1, 1, 2, 2))) == pytest.approx(0.5 * math.log(2 * math.pi))


@pytest.mark.parametrize("name", ALL)
def test_mixed_precision_leaves_what_is_summed_exact(name: str) -> None:
    spec = ALL[name]
    audio, mel = (x.float() for x in pair(spec, 12))
    model = lively(spec)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.details(audio, mel)
        loss = negative_log_likelihood(found.z, found.logdet)
    assert {x.dtype for x in (found.z, found.logdet, loss, *found.log_s, *found.t)} == {torch.float32}
    exact = negative_log_likelihood(*model(audio, mel))
    assert float(loss.detach()) == pytest.approx(float(exact.detach()), abs=0.05)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_float64_stays() -> None:
    audio, mel = pair(NANOFLOW, 12)
    z, logdet = lively(NANOFLOW).double()(audio, mel)
    assert z.dtype == logdet.dtype == torch.float64


@pytest.mark.parametrize("name", ALL)
def test_as_played_it_is_the_same(name: str) -> None:
    audio, mel = pair(ALL[name], 12)
    model = lively(ALL[name]).double()
    played = model.as_played()
    with torch.no_grad():
        for found, expected in zip(played(audio, mel), model(audio, mel), strict=True):
            torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-12)
        played.upsample_conv[0].weight.add_(1.0)
        assert not torch.equal(played(audio, mel)[0], model(audio, mel)[0])


def test_what_is_too_short_or_odd_is_refused() -> None:
    model = WaveFlow(WAVEFLOW)
    with pytest.raises(UserError, match=r"must be a multiple of n_height 8: 256 or 264\."):
        model(torch.zeros(1, 257), torch.zeros(1, 5, 2))
    for act in (lambda: model(torch.zeros(1, 264), torch.zeros(1, 5, 1)),
                lambda: model.inverse(torch.zeros(1, 1, 8, 33), torch.zeros(1, 5, 1)),
                lambda: model.synthesizer()(torch.zeros(1, 1, 8, 33), torch.zeros(1, 5, 1))):  # fmt: skip
        with pytest.raises(UserError, match=r"mel \(= 1 frames\) conditions at most 256 samples"):
            act()


def _drawn(pieces: list[int], n_height: int, temperature: float = 1.0) -> Tensor:
    noise = Noise(n_height, seed=3, temperature=temperature)
    return torch.cat([noise.columns(n) for n in pieces], dim=-1)


@pytest.mark.parametrize("n_height", [15, 16])
def test_noise_depends_on_the_seed_alone(n_height: int) -> None:
    whole = _drawn([200], n_height)
    assert whole.shape == (1, 1, n_height, 200)
    assert torch.equal(_drawn([1, 0, 7, 92, 100], n_height), whole)
    assert torch.equal(_drawn([50], n_height), whole[..., :50])
    assert torch.equal(_drawn([200], n_height, temperature=0.5), whole * 0.5)
    assert float(whole.std()) == pytest.approx(1.0, abs=0.05)
    with pytest.raises(UserError, match=r"temperature \(= -1\) must be at least 0"):
        Noise(16, seed=0, temperature=-1)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_pieces_are_the_whole(seed: int, batch: int) -> None:
    """Of mel and of noise, of any lengths, that need not fit each other."""
    spec: FlowSpec = drawn(seed)
    audio, mel = pair(spec, 40 + seed, batch=batch)
    model = lively(spec).double()
    with torch.no_grad():
        z, _ = model(audio, mel)
    synthesizer = model.synthesizer()
    whole = synthesizer(z, mel)
    cuts = torch.randint(0, z.shape[-1], (6,)).sort().values.tolist()
    frames = torch.randint(0, mel.shape[-1] + 1, (6,)).sort().values.tolist()
    pieces = [
        (mel[..., f:g], z[..., a:b])
        for f, g, a, b in zip(
            [0, *frames], [*frames, mel.shape[-1]], [0, *cuts], [*cuts, z.shape[-1]], strict=True
        )
    ]
    found = list(synthesizer.pieces(pieces))
    assert len(found) == len(pieces) + 1
    torch.testing.assert_close(torch.cat(found, dim=-1), whole, rtol=0.0, atol=1e-12)


def test_a_stream_holds_no_more_the_longer_it_is() -> None:
    stream = lively(WAVEFLOW).synthesizer().stream()
    held, given = [], 0
    for _ in range(12):
        given += stream.push(torch.randn(1, 5, 4), torch.randn(1, 1, 8, 128)).shape[1]
        lines = [line for flow in stream._flows for line in flow._inputs.values()]
        held.append(sum(line.end - line.begin for line in lines))
    assert held[-1] == held[5]
    assert 12 * 1024 - given <= (WAVEFLOW.inverse_reach_columns + 32) * 8 + 256


@pytest.mark.parametrize("name", ALL)
def test_recomputed_gradients_are_the_same(name: str) -> None:
    model = lively(ALL[name])
    audio, mel = (x.float() for x in pair(ALL[name], 64))
    gradients = []
    for recompute in (False, True):
        model.recompute = recompute
        model.zero_grad()
        negative_log_likelihood(*model(audio, mel)).backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for key, value in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_the_memory_of_a_step_is_known_before(name: str) -> None:
    spec, samples = ALL[name], 1536
    expected = training_memory(spec, batch_size=3, num_samples=samples)
    model, kept = WaveFlow(spec), {}
    own = {p.untyped_storage()._cdata for p in model.parameters()}

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage()._cdata] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = negative_log_likelihood(*model(torch.zeros(3, samples), torch.zeros(3, spec.n_mels, 6)))
    del loss
    counted = sum(x.untyped_storage().nbytes() for key, x in kept.items() if key not in own)
    assert expected.kept == pytest.approx(counted, rel=0.01)
    assert expected.states == 16 * sum(p.numel() for p in model.parameters())
    assert expected.recomputed < expected.kept
