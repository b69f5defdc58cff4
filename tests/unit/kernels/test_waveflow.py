"""The compiled flow vocoder against the inverse as it is written down, in float64.

Letters: B batch, h rows, W columns, M mels, F frames.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec
from namexp.kernels import waveflow
from namexp.kernels.compiler import UnavailableError
from namexp.kernels.waveflow import FastFlow
from namexp.kernels.waveflow_plan import Call
from namexp.models.waveflow import WaveFlow, load_weights
from tests.compilers import needs_compiler

pytestmark = needs_compiler

TOLERANCE = 2e-6  # of fast and slow
HIGH = FlowSpec("waveflow", 20, 8, 3, 4, 8, n_layer_per_cycle=2)
KEPT = FlowSpec("waveflow", 5, 16, 3, 5, 24, coupling="keep_first", permutation="bipartized")
NANO = FlowSpec("nanoflow", 20, 16, 2, 6, 32, size_flow_embed=3)
DECOMP = FlowSpec("decomp", 17, 4, 3, 8, 16, permutation="bipartized")
NAIVE = FlowSpec("naive", 20, 15, 3, 6, 16, dilations_h=(1, 3, 2, 1, 5, 1))
SHALLOW = FlowSpec("nanoflow", 5, 6, 2, 3, 8, n_layer_per_cycle=3, size_flow_embed=3, coupling="keep_first")
SPECS = (HIGH, KEPT, NANO, DECOMP, NAIVE, SHALLOW)
R64 = FlowSpec("waveflow", 80, 16, 8, 8, 64)
NANO_R128 = FlowSpec("nanoflow", 80, 16, 8, 8, 128, size_flow_embed=512)


def drawn(spec: FlowSpec, projection: float = 0.1) -> WaveFlow:
    """A model as played whose every number matters."""
    torch.manual_seed(0)
    model = WaveFlow(spec, played=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj_log_s_t.conv" in name:
                parameter.normal_(0, projection)
            elif name.endswith("scale"):
                parameter.normal_(0, 0.1)
            elif name == "h_cache":
                parameter.normal_(0, 0.3)
            elif name.endswith("multgate"):
                parameter.normal_(1, 0.3)
    return model


def inputs(spec: FlowSpec, columns: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Noise and a mel that is a little longer."""
    torch.manual_seed(1)
    frames = -(-columns * spec.n_height // spec.hop_length) + 1
    return 0.7 * torch.randn(batch, 1, spec.n_height, columns), torch.randn(batch, spec.n_mels, frames)


def exact(model: WaveFlow, z: Tensor, mel: Tensor) -> Tensor:
    double = WaveFlow(model.spec, played=True).double()
    double.load_state_dict(model.state_dict())
    return double.inverse(z.double(), mel.double())


def near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=TOLERANCE)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("columns", [1, 16, 97, 144])
def test_it_is_the_inverse_as_it_is_written_down(spec: FlowSpec, columns: int) -> None:
    model = drawn(spec)
    z, mel = inputs(spec, columns, batch=2)
    found = FastFlow(spec, model.state_dict())(z, mel)
    assert found.shape == (2, spec.n_height * columns)
    near(found, exact(model, z, mel))


@pytest.mark.parametrize("spec", [HIGH, KEPT, NANO])
def test_it_rounds_hardly_more_than_torch(spec: FlowSpec) -> None:
    model = drawn(spec)
    z, mel = inputs(spec, 200)
    expected = exact(model, z, mel)
    ours, theirs = FastFlow(spec, model.state_dict())(z, mel) - expected, model.inverse(z, mel) - expected
    assert ours.pow(2).mean() < 4 * theirs.pow(2).mean()


@pytest.mark.parametrize("columns", range(1, 40))
def test_every_width_ends_as_it_should(columns: int) -> None:
    """However many columns are left for a phase of a dilation."""
    spec = FlowSpec("waveflow", 3, 3, 1, 5, 16)
    model = drawn(spec)
    z, mel = inputs(spec, columns)
    near(FastFlow(spec, model.state_dict())(z, mel), exact(model, z, mel))


@pytest.mark.parametrize("spec", [KEPT, DECOMP, NAIVE])
@pytest.mark.parametrize("whole_columns", [4096, 64])
def test_threads_change_no_bit(spec: FlowSpec, whole_columns: int) -> None:
    flow = FastFlow(spec, drawn(spec).state_dict(), whole_columns=whole_columns)
    z, mel = inputs(spec, 700)
    alone = flow(z, mel)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(flow(z, mel), alone)


@pytest.mark.parametrize("columns", [513, 1024, 1500, 2600])
def test_chunks_give_the_bits_of_the_whole(columns: int) -> None:
    weights = drawn(SHALLOW).state_dict()
    z, mel = inputs(SHALLOW, columns)
    whole = FastFlow(SHALLOW, weights)(z, mel)
    assert torch.equal(FastFlow(SHALLOW, weights, whole_columns=0)(z, mel), whole)


@pytest.mark.parametrize("spec", [HIGH, KEPT, NANO, DECOMP, NAIVE])
def test_chunks_give_the_whole_where_its_last_columns_are_computed_otherwise(spec: FlowSpec) -> None:
    """Up to rounding."""
    weights = drawn(spec).state_dict()
    z, mel = inputs(spec, 1700)
    whole, chunks = FastFlow(spec, weights)(z, mel), FastFlow(spec, weights, whole_columns=0)(z, mel)
    near(chunks, whole)


def test_memory_does_not_grow_with_the_clip() -> None:
    flow = FastFlow(HIGH, drawn(HIGH).state_dict())

    def memory(columns: int) -> int:
        call = Call(frames=columns, columns=columns, chunk=flow._chunk, threads=1)
        return int(flow._library.namexp_memory(flow._head, ctypes.byref(call)))

    assert memory(20_000) == memory(400_000)


def test_what_is_not_finite_is_not_left_for_the_next_clip() -> None:
    flow = FastFlow(NANO, drawn(NANO).state_dict())
    z, mel = inputs(NANO, 100)
    clean = flow(z, mel)
    assert flow(torch.full_like(z, torch.nan), mel).isnan().all()
    assert torch.equal(flow(z, mel), clean)


def test_the_model_is_what_it_was() -> None:
    model = drawn(NANO)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    z, mel = inputs(NANO, 50)
    kept = z.clone(), mel.clone()
    FastFlow(NANO, model.state_dict())(z, mel)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(z, kept[0])
    assert torch.equal(mel, kept[1])


@pytest.mark.parametrize("spec", [R64, NANO_R128])
def test_real_sizes(spec: FlowSpec) -> None:
    """Against torch's own float32, whose error is as large: float64 would take a minute."""
    model = drawn(spec, projection=0.03)
    z, mel = inputs(spec, 16)
    near(FastFlow(spec, model.state_dict())(z, mel), model.inverse(z, mel))


def test_what_does_not_fit_is_refused() -> None:
    flow = FastFlow(HIGH, drawn(HIGH).state_dict())
    z, mel = inputs(HIGH, 64)
    with pytest.raises(ValueError, match=r"z must be \(batch, 1, 8, columns\), got \(1, 1, 7, 64\)"):
        flow(z[:, :, :7], mel)
    with pytest.raises(ValueError, match=r"mel must be \(1, 20, frames\), got \(1, 19, 3\)"):
        flow(z, mel[:, :19])
    with pytest.raises(ValueError, match=r"1 frames conditions 256 samples, got noise for 512"):
        flow(z, mel[..., :1])
    with pytest.raises(ValueError, match=r"z must be torch\.float32 on the CPU, got torch\.float64 on cpu"):
        flow(z.double(), mel)
    assert flow(z[..., :0], mel).shape == (1, 0)


def test_it_cannot_be_had_where_kernels_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    with pytest.raises(UnavailableError, match="NAMEXP_KERNELS is off"):
        FastFlow(HIGH, drawn(HIGH).state_dict())


@pytest.mark.usefixtures("narrower_vectors")
@pytest.mark.parametrize("spec", SPECS)
def test_vectors_of_other_widths_give_the_same(spec: FlowSpec) -> None:
    model = drawn(spec)
    flow = FastFlow(spec, model.state_dict())
    assert waveflow._vectors(flow._library)[0] == 8
    z, mel = inputs(spec, 97)
    near(flow(z, mel), exact(model, z, mel))


@pytest.mark.parity
@pytest.mark.parametrize(
    "name", ["wf_nf_plain", "wf_nf_h8_cycle2", "wf_l0sg_plain", "nanoflow", "nanoflow_decomp"]
)
def test_it_plays_what_the_official_code_plays(golden: Path, name: str) -> None:
    index = json.loads((golden / "vocoder" / "index.json").read_text())
    about = index["flows"][name]
    folder = golden / "vocoder" / ("nanoflow" if name.startswith("nanoflow") else "waveflow")
    spec = FlowSpec(
        about["kind"], about["cin_channels"], about["n_height"], about["n_flow"], about["n_layer"],
        about["res_channels"], about["n_layer_per_cycle"], size_flow_embed=about["size_flow_embed"],
        coupling="keep_first" if about["repo"] == "WaveFlow" else "all_rows",
    )  # fmt: skip
    model = WaveFlow(spec)
    load_weights(model, {"model": load_file(folder / f"{name}.safetensors")}, source=name)
    flow = FastFlow(spec, model.synthesizer().network.state_dict())
    with np.load(folder / f"{name}_io.npz") as stored:
        recorded = {key: torch.from_numpy(stored[key]) for key in stored.files}
    tolerance = index["tolerances"]["flow_reverse"]
    for noise, audio in (("z", "x_reverse"), ("z", "x")):
        found = flow(recorded[noise], recorded["c"])
        torch.testing.assert_close(found, recorded[audio], rtol=0, atol=tolerance)
    sampled = flow(recorded["temp"] * recorded["z_noise"], recorded["c"])
    torch.testing.assert_close(sampled, recorded["x_sample"], rtol=0, atol=tolerance)
