"""Log mel spectrograms in torch: one definition for what goes in and for what is compared.

Source: the official HiFi-GAN's ``mel_spectrogram``.
Letters: B batch, L samples, K frequencies, F frames, M mels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from namexp.audio.mel_scale import MelSpec, filter_bank

POWER_EPSILON = 1e-9  # under the root, where its slope would be infinite
LEAST_MEL = 1e-5  # silence is its logarithm, -11.51


def magnitude(audio: Tensor, spec: MelSpec) -> Tensor:
    """(B, L) samples to (B, K, F): a frame for every whole hop, none of them centred on the ends.

    16-bit floats are computed in float32, float64 in float64.

    Raises:
        ValueError: fewer samples than can be reflected or than fill one frame.
    """
    least = max(spec.least_samples, spec.n_fft - 2 * spec.padding)
    if audio.shape[-1] < least:
        raise ValueError(f"a mel spectrogram needs at least {least} samples, got {audio.shape[-1]}.")
    if audio.dtype in (torch.float16, torch.bfloat16):
        audio = audio.float()
    return magnitude_of_padded(
        F.pad(audio[:, None], (spec.padding, spec.padding), mode="reflect")[:, 0], spec
    )


def magnitude_of_padded(padded: Tensor, spec: MelSpec) -> Tensor:
    """(B, L) samples with their ends reflected already to (B, K, F)."""
    spectrum = torch.stft(
        padded, spec.n_fft, spec.hop_length, spec.win_length, _window(spec, padded.device, padded.dtype),
        center=False, return_complex=True,
    )  # fmt: skip
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    return power.sqrt() if spec.centered else (power + POWER_EPSILON).sqrt()


def to_log_mel(magnitudes: Tensor, spec: MelSpec) -> Tensor:
    """(B, K, F) magnitudes to (B, M, F), natural logarithms."""
    with torch.autocast(magnitudes.device.type, enabled=False):  # 8 bits of mantissa are heard
        mel = _bank(spec, magnitudes.device, magnitudes.dtype) @ magnitudes
    return mel.clamp(min=LEAST_MEL).log()


def log_mel(audio: Tensor, spec: MelSpec) -> Tensor:
    """(B, L) samples to (B, M, F).

    Raises:
        ValueError: too few samples.
    """
    return to_log_mel(magnitude(audio, spec), spec)


def log_mels(audio: Tensor, specs: Sequence[MelSpec]) -> tuple[Tensor, ...]:
    """The same audio in several filter banks, the magnitudes taken once.

    Raises:
        ValueError: the specs differ in more than the filters; too few samples.
    """
    frames = {(s.n_fft, s.hop_length, s.win_length) for s in specs}
    if len(frames) != 1:
        raise ValueError(
            f"filter banks share magnitudes of equal n_fft, hop_length and win_length: {sorted(frames)}."
        )
    magnitudes = magnitude(audio, specs[0])
    return tuple(to_log_mel(magnitudes, spec) for spec in specs)


@lru_cache(maxsize=64)
def _window(spec: MelSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    # a tensor that validation makes under inference_mode could not serve training
    with torch.inference_mode(False):
        window = torch.hann_window(spec.win_length, dtype=torch.float64, device="cpu")
        return window.to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
def _bank(spec: MelSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(filter_bank(spec), device=device, dtype=dtype)
