"""Log mel spectrograms against the definition, frame by frame in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from namexp.audio.mel import LEAST_MEL, log_mel, log_mels, magnitude, to_log_mel
from namexp.audio.mel_scale import MelSpec, filter_bank

SPECS = (MelSpec(), MelSpec(fmax=None), MelSpec(24000, 1024, 240, 600, 20, 50.0, 7000.0))


def _defined(audio: np.ndarray, spec: MelSpec) -> np.ndarray:
    """The definition for one signal, in float64."""
    padded = np.pad(audio, spec.padding, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.win_length) / spec.win_length)
    before = (spec.n_fft - spec.win_length) // 2
    window = np.pad(window, (before, spec.n_fft - spec.win_length - before))
    starts = range(0, padded.size - spec.n_fft + 1, spec.hop_length)
    spectra = np.stack([np.fft.rfft(padded[s : s + spec.n_fft] * window) for s in starts], axis=-1)
    mel = filter_bank(spec).astype(np.float64) @ np.sqrt(np.abs(spectra) ** 2 + 1e-9)
    return np.log(np.maximum(mel, 1e-5))


@pytest.mark.parametrize("spec", SPECS)
def test_it_is_the_definition(spec: MelSpec) -> None:
    audio = 0.1 * torch.randn(2, 5000, dtype=torch.float64)
    expected = np.stack([_defined(row, spec) for row in audio.numpy()])
    found = log_mel(audio, spec)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(log_mel(audio.float(), spec).numpy(), expected, rtol=0.0, atol=2e-5)


@pytest.mark.parametrize("length", [385, 512, 8191, 8192, 8447])
def test_there_is_a_frame_for_every_whole_hop(length: int) -> None:
    assert log_mel(torch.zeros(1, length), MelSpec()).shape == (1, 80, length // 256)


def test_silence_is_the_least_mel() -> None:
    assert torch.allclose(log_mel(torch.zeros(1, 2048), MelSpec()), torch.tensor(math.log(LEAST_MEL)))
    assert math.log(LEAST_MEL) == pytest.approx(-11.5129, abs=1e-4)


def test_a_tone_is_heard_where_it_is() -> None:
    tone = torch.sin(2 * torch.pi * 46 / 1024 * torch.arange(8192, dtype=torch.float64))[None]
    spectrum = magnitude(tone, MelSpec())[0, :, 10]
    assert spectrum.argmax() == 46
    assert spectrum.max() == pytest.approx(256, rel=1e-6)  # half of the window's sum
    mel = log_mel(tone, MelSpec())[0, :, 10]
    assert mel.argmax() == filter_bank(MelSpec())[:, spectrum.argmax()].argmax()


def test_filter_banks_share_the_magnitudes() -> None:
    audio = torch.randn(1, 3000)
    found = log_mels(audio, SPECS[:2])
    for mel, spec in zip(found, SPECS[:2], strict=True):
        assert torch.equal(mel, log_mel(audio, spec))
        assert torch.equal(mel, to_log_mel(magnitude(audio, spec), spec))
    assert not torch.equal(*found)
    with pytest.raises(ValueError, match="equal n_fft, hop_length and win_length"):
        log_mels(audio, SPECS)


def test_gradients_are_right_and_finite_in_silence() -> None:
    spec = MelSpec(8000, 32, 8, 32, 5, 0.0, None)
    audio = (0.3 * torch.randn(1, 60, dtype=torch.float64)).requires_grad_()
    torch.autograd.gradcheck(lambda x: log_mel(x, spec), audio)
    silence = torch.zeros(1, 60, requires_grad=True)
    log_mel(silence, spec).sum().backward()
    assert silence.grad is not None
    assert torch.isfinite(silence.grad).all()


@pytest.mark.parametrize("length", [0, 1, 384])
def test_too_short_a_signal_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"at least 385 samples, got {length}"):
        log_mel(torch.zeros(1, length), MelSpec())


def test_what_inference_computes_first_can_be_trained_with_later() -> None:
    spec = MelSpec(8000, 64, 16, 64, 6, 0.0, 3000.0)  # nobody else's: its bank is not there yet
    with torch.inference_mode():
        log_mel(torch.zeros(1, 200), spec)
    audio = torch.randn(1, 200, requires_grad=True)
    log_mel(audio, spec).sum().backward()
    assert audio.grad is not None


def _mel_under_autocast(audio: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return log_mel(audio, MelSpec())


def test_low_precision_is_not_for_mels() -> None:
    audio = torch.randn(1, 4000)
    assert torch.equal(_mel_under_autocast(audio), log_mel(audio, MelSpec()))
    half = log_mel(audio.bfloat16(), MelSpec())
    assert torch.equal(half, log_mel(audio.bfloat16().float(), MelSpec()))
