"""The compiled HiFi-GAN generator against torch's own operations in float64.

Letters: B batch, C channels, F frames, K kernels of the residual blocks, M mels.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d, leaky_relu

from namexp.architectures.hifigan import GeneratorSpec
from namexp.kernels import hifigan
from namexp.kernels.compiler import UnavailableError
from namexp.kernels.hifigan import FastGenerator
from namexp.kernels.hifigan_filters import FILTERS, MinimalFilter
from tests.compilers import needs_compiler

pytestmark = needs_compiler

GOLDEN_TOLERANCE = 1e-5
PAIRED = GeneratorSpec(6, (4, 2), (8, 4), 32, "1", (3, 7, 11), ((1, 3, 5),) * 3)
SINGLE = GeneratorSpec(5, (3, 4), (5, 8), 64, "2", (3, 5, 7), ((1, 2), (2, 6), (3, 12)))
ODD = GeneratorSpec(3, (5, 2, 2), (11, 2, 6), 24, "2", (1, 9, 13), ((1,), (2, 3, 1), (4,)))
SPECS = (PAIRED, SINGLE, ODD)
V1 = GeneratorSpec(80, (8, 8, 2, 2), (16, 16, 4, 4), 512, "1", (3, 7, 11), ((1, 3, 5),) * 3)
V2 = GeneratorSpec(80, (8, 8, 2, 2), (16, 16, 4, 4), 128, "1", (3, 7, 11), ((1, 3, 5),) * 3)
V3 = GeneratorSpec(80, (8, 8, 4), (16, 16, 8), 256, "2", (3, 5, 7), ((1, 2), (2, 6), (3, 12)))


def shapes(spec: GeneratorSpec) -> dict[str, tuple[int, int, int]]:
    """Of the weights, by their official names."""
    C, K = spec.channels, len(spec.resblock_kernel_sizes)
    found = {"conv_pre": (C[0], spec.n_mels, 7), "conv_post": (1, C[-1], 7)}
    groups = ("convs1", "convs2") if spec.resblock == "1" else ("convs",)
    for i, kernel in enumerate(spec.upsample_kernel_sizes):
        found[f"ups.{i}"] = (C[i], C[i + 1], kernel)
        for j, (size, dilations) in enumerate(
            zip(spec.resblock_kernel_sizes, spec.resblock_dilation_sizes, strict=True)
        ):
            for group in groups:
                for n in range(len(dilations)):
                    found[f"resblocks.{i * K + j}.{group}.{n}"] = (C[i + 1], C[i + 1], size)
    return found


def drawn_weights(spec: GeneratorSpec, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    weights = {}
    for name, shape in shapes(spec).items():
        weights[f"{name}.weight"] = torch.randn(shape) / prod(shape[1:]) ** 0.5
        weights[f"{name}.bias"] = 0.1 * torch.randn(shape[1] if name.startswith("ups") else shape[0])
    return weights


def plain(spec: GeneratorSpec, weights: dict[str, Tensor], mel: Tensor) -> Tensor:
    """The generator as it is written down, in the precision of its arguments."""
    K = len(spec.resblock_kernel_sizes)

    def conv(name: str, x: Tensor, dilation: int = 1) -> Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return conv1d(x, weight, bias, padding=dilation * (weight.shape[2] - 1) // 2, dilation=dilation)

    def block(name: str, x: Tensor, dilations: tuple[int, ...]) -> Tensor:
        for n, dilation in enumerate(dilations):
            if spec.resblock == "1":
                inner = conv(f"{name}.convs1.{n}", leaky_relu(x, 0.1), dilation)
                x = x + conv(f"{name}.convs2.{n}", leaky_relu(inner, 0.1))
            else:
                x = x + conv(f"{name}.convs.{n}", leaky_relu(x, 0.1), dilation)
        return x

    x = conv("conv_pre", mel)
    for i, (rate, kernel) in enumerate(zip(spec.upsample_rates, spec.upsample_kernel_sizes, strict=True)):
        weight, bias = weights[f"ups.{i}.weight"], weights[f"ups.{i}.bias"]
        x = conv_transpose1d(leaky_relu(x, 0.1), weight, bias, stride=rate, padding=(kernel - rate) // 2)
        x = sum(
            block(f"resblocks.{i * K + j}", x, dilations)
            for j, dilations in enumerate(spec.resblock_dilation_sizes)
        ) / torch.tensor(K, dtype=x.dtype)
    return torch.tanh(conv("conv_post", leaky_relu(x, 0.01)))


def exact(spec: GeneratorSpec, weights: dict[str, Tensor], mel: Tensor) -> Tensor:
    return plain(spec, {name: weight.double() for name, weight in weights.items()}, mel.double())


def rms(x: Tensor) -> float:
    return float(x.pow(2).mean().sqrt())


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_it_is_the_generator_as_it_is_written_down(spec: GeneratorSpec, frames: int) -> None:
    weights = drawn_weights(spec)
    mel = torch.randn(2, spec.n_mels, frames)
    expected = exact(spec, weights, mel)
    found = FastGenerator(spec, weights)(mel)
    assert found.shape == (2, 1, frames * spec.hop_length)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=4e-6)


def test_it_rounds_hardly_more_than_torch() -> None:
    weights = drawn_weights(V2)
    mel = torch.randn(1, V2.n_mels, 24)
    expected = exact(V2, weights, mel)
    ours, theirs = FastGenerator(V2, weights)(mel) - expected, plain(V2, weights, mel) - expected
    assert rms(ours) < 2 * rms(theirs)
    assert ours.abs().max() < 2 * theirs.abs().max()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_stream_gives_the_bits_of_the_whole_as_soon_as_promised(spec: GeneratorSpec, threads: int) -> None:
    generator = FastGenerator(spec, drawn_weights(spec))
    mel = torch.randn(spec.n_mels, 90)
    torch.set_num_threads(1)
    whole = generator(mel[None])[0, 0]
    torch.set_num_threads(threads)
    for seed in range(4):
        draw = random.Random(seed)
        cuts = sorted({0, 90, *(draw.randint(0, 90) for _ in range((1, 5, 30, 90)[seed]))})
        stream, pieces = generator.stream(), []
        for begin, end in pairwise(cuts):
            pieces.append(stream.push(mel[:, begin:end]))
            waiting = end * spec.hop_length - sum(map(len, pieces))
            assert waiting <= generator.latency_frames * spec.hop_length
        assert torch.equal(torch.cat([*pieces, stream.finish()]), whole)


@pytest.mark.parametrize("spec", SPECS)
def test_a_long_clip_is_many_chunks(spec: GeneratorSpec) -> None:
    """Of every stage, and its middle is what is computed from its surroundings alone."""
    weights = drawn_weights(spec)
    generator, hop, context = FastGenerator(spec, weights), spec.hop_length, spec.context_frames
    mel = torch.randn(spec.n_mels, 6000)
    whole = generator(mel[None])[0, 0]
    for begin in (0, 1531, 4096, 5980):
        first, last = max(0, begin - context), min(6000, begin + 20 + context)
        expected = exact(spec, weights, mel[None, :, first:last])[0, 0]
        part = slice((begin - first) * hop, (begin - first + 20) * hop)
        torch.testing.assert_close(
            whole[begin * hop : (begin + 20) * hop].double(), expected[part], rtol=0, atol=4e-6
        )


@pytest.mark.parametrize("threads", [1, 2])
def test_clips_of_unequal_length_are_each_computed_as_if_alone(threads: int) -> None:
    torch.set_num_threads(threads)
    generator = FastGenerator(PAIRED, drawn_weights(PAIRED))
    lengths = [9, 31, 0, 2, 14]
    mel = torch.randn(5, PAIRED.n_mels, 31)
    alone = [generator(mel[i : i + 1, :, :n])[0, 0] for i, n in enumerate(lengths)]
    found = generator.clips([clip[:, :n] for clip, n in zip(mel, lengths, strict=True)])
    assert all(map(torch.equal, found, alone))
    batch = generator(mel, torch.tensor(lengths))
    for row, clip in zip(batch[:, 0], alone, strict=True):
        assert torch.equal(row[: len(clip)], clip)
        assert not row[len(clip) :].any()


def test_what_is_not_finite_stays_within_its_reach() -> None:
    """And leaves nothing in the memory that the next clip gets."""
    generator, hop = FastGenerator(PAIRED, drawn_weights(PAIRED)), PAIRED.hop_length
    mel = torch.randn(1, PAIRED.n_mels, 400)
    clean = generator(mel)
    broken = mel.clone()
    broken[..., 200] = torch.nan
    found = generator(broken)[0, 0]
    reach = generator.latency_frames + PAIRED.context_frames
    before, after = slice(0, (200 - reach) * hop), slice((201 + reach) * hop, None)
    assert found[200 * hop : 201 * hop].isnan().all()
    assert torch.equal(found[before], clean[0, 0, before])
    assert torch.equal(found[after], clean[0, 0, after])
    assert torch.equal(generator(mel), clean)


def test_memory_does_not_grow_with_the_clip() -> None:
    generator = FastGenerator(SINGLE, drawn_weights(SINGLE))
    stream = generator.stream()
    before = stream._memory.data_ptr(), stream._memory.numel()
    total = sum(len(stream.push(torch.randn(SINGLE.n_mels, 500))) for _ in range(20)) + len(stream.finish())
    assert total == 20 * 500 * SINGLE.hop_length
    assert (stream._memory.data_ptr(), stream._memory.numel()) == before


@pytest.mark.parametrize("of", FILTERS)
def test_a_minimal_filter_needs_as_many_products_as_it_has_points(of: MinimalFilter) -> None:
    assert of.products == 1 + 2 * len(of.pairs) + of.infinite


def test_what_does_not_fit_is_refused() -> None:
    generator = FastGenerator(PAIRED, drawn_weights(PAIRED))
    with pytest.raises(
        ValueError, match=r"of \(6, frames\) on the CPU, got torch.float32 of \(5, 8\) on cpu"
    ):
        generator(torch.randn(1, 5, 8))
    with pytest.raises(ValueError, match="float64"):
        generator(torch.randn(1, 6, 8).double())
    stream = generator.stream()
    assert len(stream.finish()) == 0
    with pytest.raises(ValueError, match="at its end"):
        stream.push(torch.randn(6, 8))


def test_it_cannot_be_had_where_kernels_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    with pytest.raises(UnavailableError, match="NAMEXP_KERNELS is off"):
        FastGenerator(PAIRED, drawn_weights(PAIRED))


@pytest.mark.usefixtures("narrower_vectors")
@pytest.mark.parametrize("spec", SPECS)
def test_vectors_of_other_widths_give_the_same(spec: GeneratorSpec) -> None:
    weights = drawn_weights(spec)
    mel = torch.randn(spec.n_mels, 50)
    generator = FastGenerator(spec, weights)
    assert hifigan._vectors(generator._library).wide == 8
    whole = generator(mel[None])
    torch.testing.assert_close(whole.double(), exact(spec, weights, mel[None]), rtol=0, atol=4e-6)
    stream = generator.stream()
    streamed = torch.cat([stream.push(mel[:, :17]), stream.push(mel[:, 17:]), stream.finish()])
    assert torch.equal(streamed, whole[0, 0])


def filled(name: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """The goldens' deterministic numbers."""
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy((draw.standard_normal(size=shape) * scale).astype(np.float32))


@pytest.mark.parity
@pytest.mark.parametrize(("name", "spec"), [("v1", V1), ("v3", V3)])
def test_the_full_generators_play_what_the_official_code_plays(
    golden: Path, name: str, spec: GeneratorSpec
) -> None:
    weights = {}
    for module, shape in shapes(spec).items():
        outputs = shape[1] if module.startswith("ups") else shape[0]
        weights[f"{module}.weight"] = filled(f"{name}.{module}.weight", shape, 1 / np.sqrt(prod(shape[1:])))
        weights[f"{module}.bias"] = filled(f"{name}.{module}.bias", (outputs,), 0.01)
    recorded = np.load(golden / "vocoder" / "hifigan" / f"full_{name}_io.npz")
    found = FastGenerator(spec, weights)(torch.from_numpy(recorded["mel"]))
    expected = torch.from_numpy(recorded["wav"])
    torch.testing.assert_close(found, expected, rtol=0, atol=GOLDEN_TOLERANCE)
