"""A flow at work: noise and mel in, audio out, whole or as a stream in constant memory.

Letters: B batch, T samples, h rows, W columns, M mels, F frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from namexp.architectures.waveflow import FlowSpec
from namexp.errors import UserError
from namexp.kernels.compiler import UnavailableError
from namexp.kernels.fallback import told_once
from namexp.kernels.waveflow import FastFlow
from namexp.models.waveflow.estimator import full
from namexp.models.waveflow.folding import FoldedFlow, folded
from namexp.models.waveflow.model import WaveFlow
from namexp.models.waveflow.picture import squeeze, unsqueeze
from namexp.models.waveflow.rows import FlowStream, Line, with_ones

CONTEXT_FRAMES = 1  # on either side that the upsampled conditioner of a frame depends on


class Synthesizer(nn.Module):
    """The inverse of a model, by queues: each row costs one row.

    Attributes:
        network: the model as played; its parameters are those that the published tables count.
    """

    def __init__(self, network: WaveFlow) -> None:
        """Play ``network``, which is one as played."""
        super().__init__()
        assert network.played, "norms are fused first"
        self.network = network
        self._folded: tuple[tuple[object, ...], list[FoldedFlow]] | None = None
        self._packed: tuple[tuple[object, ...], FastFlow | None] | None = None

    @property
    def spec(self) -> FlowSpec:
        """Of the model."""
        return self.network.spec

    def forward(self, z: Tensor, mel: Tensor) -> Tensor:
        """(B, 1, h, W) noise and (B, M, F) log mel to (B, T) audio: by a kernel, on the CPU in float32.

        Raises:
            UserError: the mel is too short.
        """
        enough = mel.shape[-1] * self.spec.hop_length >= z.shape[-2] * z.shape[-1]
        plain = all(x.dtype == torch.float32 and x.device.type == "cpu" for x in (z, mel))
        fast = self._fast() if plain and enough else None
        if fast is not None:
            return fast(z, mel)
        stream = self.stream()
        stream.take(mel, z)
        return stream.finish()

    def stream(self) -> Stream:
        """A clip of unknown length."""
        return Stream(self.network, self._flows())

    def pieces(self, chunks: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        """Mel and noise of one clip, piece by piece, to its audio, piece by piece, in constant memory.

        The pieces of mel and of noise need not fit each other; together the clip's must.

        Raises:
            UserError: the mel is too short, in the end.
        """
        stream = self.stream()
        for mel, z in chunks:
            yield stream.push(mel, z)
        yield stream.finish()

    def _key(self) -> tuple[object, ...]:
        """Equal as long as the parameters are."""
        return tuple((p.data_ptr(), p._version, p.dtype, p.device) for p in self.network.parameters())

    def _fast(self) -> FastFlow | None:
        """The kernel with these weights; None where torch must do the work."""
        key = self._key()
        if self._packed is None or self._packed[0] != key:
            self._packed = key, self._new_fast()
        return self._packed[1]

    def _new_fast(self) -> FastFlow | None:
        weights = self.network.state_dict()
        if not all(w.dtype == torch.float32 and w.device.type == "cpu" for w in weights.values()):
            return None
        try:
            return FastFlow(self.spec, weights)
        except UnavailableError as error:
            told_once("synthesis by flows", str(error))
            return None

    @torch.no_grad()
    def _flows(self) -> list[FoldedFlow]:
        """The folded weights, again if the parameters are others than last time."""
        key = self._key()
        if self._folded is None or self._folded[0] != key:
            self._folded = key, [folded(self.spec, part) for part in self.network.parts()]
        return self._folded[1]


class Stream:
    """One clip on its way through all flows, the last first."""

    def __init__(self, network: WaveFlow, flows: list[FoldedFlow]) -> None:
        self._network, self._spec, self._weights = network, network.spec, flows
        self._flows: list[FlowStream] = []
        self._mel: Line | None = None
        self._noise: Line | None = None
        self._conditioner: Line | None = None
        self._rest: Tensor | None = None  # samples of the conditioner that do not make a column yet
        self._upsampled = 0  # frames
        self._fed = 0  # columns of the noise
        self._rows: list[Line] = []

    @torch.inference_mode()
    def push(self, mel: Tensor, z: Tensor) -> Tensor:
        """The next (B, M, f) frames and (B, 1, h, w) columns of noise; the (B, n) samples known now."""
        self.take(mel, z)
        return self._advance(final=False)

    def take(self, mel: Tensor, z: Tensor) -> None:
        """The same, for ``finish`` to begin with."""
        mel, z = full(mel), full(z)
        if self._mel is None or self._noise is None:
            self._mel, self._noise = Line(mel), Line(z)
            orders = self._spec.conditioner_orders
            self._flows = [
                FlowStream(self._spec, weights, order, z)
                for weights, order in zip(self._weights, orders, strict=True)
            ]
            self._rows = [Line(z[:, 0, :1, :0]) for _ in range(self._spec.n_height)]
        else:
            self._mel.append(mel)
            self._noise.append(z)

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """The (B, n) samples that are left.

        Raises:
            UserError: there was less mel than the noise needs.
        """
        if self._noise is None or self._mel is None:
            return torch.zeros(1, 0)
        samples, known = self._noise.end * self._spec.n_height, self._mel.end * self._spec.hop_length
        if known < samples:
            raise UserError(
                f"mel (= {self._mel.end} frames) conditions at most {known} samples; the noise has {samples}."
            )
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> Tensor:
        with torch.autocast(self._device, enabled=False):
            self._upsample(final=final)
            return self._through(final=final)

    @property
    def _device(self) -> str:
        return next(self._network.parameters()).device.type

    def _upsample(self, *, final: bool) -> None:
        """Frames whose conditioner is final now."""
        assert self._mel is not None
        end = self._mel.end - (0 if final else CONTEXT_FRAMES)
        if end <= self._upsampled:
            return
        hop, h = self._spec.hop_length, self._spec.n_height
        first, last = max(0, self._upsampled - CONTEXT_FRAMES), min(self._mel.end, end + CONTEXT_FRAMES)
        samples = self._network.upsample_conv(self._mel.between(first, last))
        samples = samples[..., (self._upsampled - first) * hop : (end - first) * hop]
        if self._rest is not None:
            samples = torch.cat([self._rest, samples], dim=-1)
        whole = samples.shape[-1] // h * h
        self._rest = samples[..., whole:].clone()
        columns = with_ones(squeeze(samples[..., :whole], h))
        if self._conditioner is None:
            self._conditioner = Line(columns)
        else:
            self._conditioner.append(columns)
        self._upsampled = end
        self._mel.forget(end - CONTEXT_FRAMES)

    def _through(self, *, final: bool) -> Tensor:
        """What has come, through all flows."""
        spec, noise, conditioner = self._spec, self._noise, self._conditioner
        assert noise is not None
        if conditioner is None:
            return noise.between(noise.end, noise.end)[:, 0, 0]
        end = min(noise.end, conditioner.end)
        fed = noise.between(self._fed, end)[:, 0]
        rows = [fed[:, row : row + 1] for row in range(spec.n_height)]
        self._fed = end
        noise.forget(end)
        for i in reversed(range(spec.n_flow)):
            order = spec.permutation_of(i)
            if spec.coupling == "keep_first":
                rows = [rows[row] for row in order]
            rows = self._flows[i].push(rows, conditioner, final=final)
            if spec.coupling == "all_rows":
                rows = [rows[row] for row in order]
        conditioner.forget(self._flows[0].done)
        return self._audio(rows)

    def _audio(self, rows: list[Tensor]) -> Tensor:
        """Columns that all rows have."""
        for line, row in zip(self._rows, rows, strict=True):
            line.append(row)
        end = min(line.end for line in self._rows)
        begin = max(line.begin for line in self._rows)
        columns = torch.cat([line.between(begin, end) for line in self._rows], dim=1)
        for line in self._rows:
            line.forget(end)
        return unsqueeze(columns)
