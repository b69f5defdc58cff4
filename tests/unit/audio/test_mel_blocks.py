"""A long recording's mel in blocks is that of the whole."""

from __future__ import annotations

import pytest
import torch

from namexp.audio.mel import log_mel
from namexp.audio.mel_blocks import log_mel_blocks
from namexp.audio.mel_scale import MelSpec

SPECS = [MelSpec(), MelSpec(sample_rate=24000, n_fft=1200, hop_length=300, win_length=1200, fmax=None)]


@pytest.mark.parametrize("spec", SPECS, ids=["22k", "24k"])
@pytest.mark.parametrize("frames", [1, 3, 7, 100])
@pytest.mark.parametrize("more", [0, 1, 255])
def test_blocks_are_the_whole(spec: MelSpec, frames: int, more: int) -> None:
    audio = torch.randn(9 * spec.hop_length + more, dtype=torch.float64) * 0.1
    blocks = list(log_mel_blocks(audio, spec, frames))
    assert [block.shape[1] for block in blocks[:-1]] == [frames] * (len(blocks) - 1)
    torch.testing.assert_close(torch.cat(blocks, dim=1), log_mel(audio[None], spec)[0], rtol=0, atol=1e-10)


def test_the_shortest_recording_has_all_its_frames() -> None:
    spec = MelSpec()
    audio = torch.randn(512, dtype=torch.float64)
    (block,) = log_mel_blocks(audio, spec, 10)
    torch.testing.assert_close(block, log_mel(audio[None], spec)[0], rtol=0, atol=1e-10)
