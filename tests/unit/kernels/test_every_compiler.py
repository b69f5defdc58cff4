"""Every kernel's text by every compiler of this machine, for every width of its vectors."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from namexp.architectures.wavenet import LayerSpec
from namexp.kernels import array_library, compiler, hifigan, waveflow
from namexp.kernels.hifigan import FastGenerator
from namexp.kernels.mrstft import Resolution
from namexp.kernels.waveflow import FastFlow
from tests.unit.kernels import test_hifigan as generators
from tests.unit.kernels import test_mrstft as losses
from tests.unit.kernels import test_waveflow as flows
from tests.unit.kernels.test_layer_array import activation, array, assert_as_float64

VERSIONS = [f"{name}-{version}" for name in ("g++", "clang++") for version in range(11, 23)]
COMPILERS = ["g++", "clang++", *filter(shutil.which, VERSIONS)]
ZIG = ["zig c++", "ziglang"]
CPU = Path("/proc/cpuinfo")
FLAGS = {16: "", 8: "-mno-avx512f", 4: "-mno-avx", 0: ""}  # 4 lanes: as on ARM, without its intrinsics
HAS_AVX512 = CPU.exists() and "avx512f" in CPU.read_text()
WIDTHS = (16, 8) if HAS_AVX512 else (0,)
SMALL = (Resolution(64, 17, 63), Resolution(256, 40, 130))


def _command(name: str) -> str | None:
    if name == "ziglang":
        return shlex.join([sys.executable, "-m", name, "c++"]) if find_spec(name) else None
    program = shutil.which(name.split()[0])
    return name if program else None


def _same_as_another(name: str) -> bool:
    """Whether it is only another name of a compiler without a version in its name."""
    base, _, version = name.rpartition("-")
    found, plain = shutil.which(name), shutil.which(base) if version.isdigit() else None
    return bool(found and plain) and os.path.realpath(str(found)) == os.path.realpath(str(plain))


def _forget() -> None:
    for remembered in (compiler._found, compiler._compiler_of, array_library._kernels):
        remembered.cache_clear()


@pytest.fixture(
    scope="module",
    params=[
        *((name, width) for name in COMPILERS if not _same_as_another(name) for width in WIDTHS),
        *((name, WIDTHS[0]) for name in ZIG),  # which hears of no narrower ones beside -march=native
        *([("clang++", 4)] if HAS_AVX512 else []),
    ],
    ids=lambda param: f"{param[0]}, {param[1] or 'any'} lanes",
)
def lanes(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of the vectors; kernels are compiled by one compiler. 0: however many this machine has."""
    name, width = request.param
    command = _command(name)
    if command is None:
        pytest.skip(f"{name} is not on this machine")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", f"{command} {FLAGS[width]}")
        patch.delenv("NAMEXP_KERNELS", raising=False)
        _forget()
        torch.set_num_threads(1)
        yield width
    torch.set_num_threads(threads)
    _forget()


@pytest.mark.usefixtures("lanes")
def test_layer_arrays_are_float64_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_library, "CHUNK", 1)  # the shortest chunks
    layers = (
        LayerSpec(3, 1, activation("LeakyReLU")),
        LayerSpec(3, 5, activation("Tanh"), "gated", activation("Sigmoid")),
        LayerSpec(3, 2, activation("SiLU"), "blended", activation("Hardtanh")),
    )
    spec = array(3, layers=layers)
    assert_as_float64(spec, length=2000, items=2, residual=True, head=True)
    assert_as_float64(spec, length=spec.receptive_field + 63, items=1, residual=False, head=False)


def test_generators_are_float64_to_rounding_and_streams_the_same_bits(lanes: int) -> None:
    for spec in generators.SPECS:
        weights, mel = generators.drawn_weights(spec), torch.randn(spec.n_mels, 50)
        generator = FastGenerator(spec, weights)
        assert hifigan._vectors(generator._library).wide == lanes or not lanes
        whole = generator(mel[None])
        expected = generators.exact(spec, weights, mel[None])
        torch.testing.assert_close(whole.double(), expected, rtol=0, atol=4e-6)
        stream = generator.stream()
        streamed = torch.cat([stream.push(mel[:, :17]), stream.push(mel[:, 17:]), stream.finish()])
        assert torch.equal(streamed, whole[0, 0])


def test_flows_are_float64_to_rounding(lanes: int) -> None:
    for spec in flows.SPECS:
        model = flows.drawn(spec)
        flow = FastFlow(spec, model.state_dict())
        assert waveflow._vectors(flow._library)[0] == lanes or not lanes
        z, mel = flows.inputs(spec, 97)
        flows.near(flow(z, mel), flows.exact(model, z, mel))


@pytest.mark.usefixtures("lanes")
def test_losses_are_torchs_in_float64() -> None:
    kernel = losses._kernel(SMALL)
    for B, S, L in ((3, 2, 1199), (16, 1, 700)):
        prediction, target = losses._signals(B, S, L)
        exact = prediction.double(), target.double()
        sums, expected = kernel.sums(prediction, target), losses._reference(*exact, SMALL)
        torch.testing.assert_close(sums.double(), expected, rtol=5e-7, atol=0)
        found = losses._gradients(kernel.sums, prediction, target)[:-1]
        theirs = losses._gradients(lambda x, y: losses._reference(x, y, SMALL), *exact)[:-1]
        for gradient, reference in zip(found, theirs, strict=True):
            assert losses._distance(gradient, reference) < 2e-6
