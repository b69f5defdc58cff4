"""A stream of frames gives what all of them give at once."""

from __future__ import annotations

import pytest
import torch

from namexp.architectures.hifigan import GeneratorSpec
from namexp.models.hifigan import Generator
from namexp.models.hifigan.synthesizer import Synthesizer

SPEC = GeneratorSpec(8, (4, 2), (8, 4), 16, "2", (3, 5), ((1, 2), (2, 6)))


@pytest.fixture
def generator() -> Generator:
    return Generator(SPEC).fused().eval()


@pytest.fixture(params=["kernel", "torch"], autouse=True)
def plays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setenv("NAMEXP_KERNELS", "off")
    return str(request.param)


@pytest.mark.parametrize("sizes", [[1] * 40, [7, 1, 20, 12], [40], [39, 1], [3, 0, 37]])
def test_pushed_frames_give_the_whole(generator: Generator, sizes: list[int], plays: str) -> None:
    mel = torch.randn(8, 40)
    synthesizer = Synthesizer(generator)
    pieces = [synthesizer.push(part) for part in mel.split(sizes, dim=1)]
    for i, piece in enumerate(pieces):
        pushed = sum(sizes[: i + 1])
        ready = max(0, pushed - synthesizer.latency_frames) * SPEC.hop_length
        given = sum(p.numel() for p in pieces[: i + 1])
        assert given == ready if plays == "torch" else given >= ready, "no more is held back than is said"
        assert piece.dim() == 1
    audio = torch.cat([*pieces, synthesizer.finish()])
    expected = generator(mel[None])[0, 0]
    torch.testing.assert_close(audio, expected, rtol=0, atol=2e-6)
    if plays == "kernel":
        assert torch.equal(audio, synthesizer.whole(mel[None])[0]), "to the bit, however it is cut"
    assert synthesizer.latency_samples == synthesizer.latency_frames * SPEC.hop_length
    assert synthesizer.latency_frames >= SPEC.context_frames


def test_after_the_end_another_clip_begins(generator: Generator) -> None:
    synthesizer = Synthesizer(generator)
    mel = torch.randn(8, 9)
    synthesizer.push(torch.randn(8, 30))
    synthesizer.finish()
    assert synthesizer.finish().numel() == 0
    again = torch.cat([synthesizer.push(mel), synthesizer.finish()])
    torch.testing.assert_close(again, generator(mel[None])[0, 0], rtol=0, atol=2e-6)


def test_clips_of_unequal_length_are_played_as_each_alone(generator: Generator) -> None:
    mels = [torch.randn(8, frames) for frames in (5, 17, 1)]
    for mel, audio in zip(mels, Synthesizer(generator).batch(mels), strict=True):
        torch.testing.assert_close(audio, generator(mel[None])[0, 0], rtol=0, atol=2e-6)
