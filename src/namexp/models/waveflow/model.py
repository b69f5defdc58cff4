"""WaveFlow and NanoFlow: audio to white noise and its log-determinant, and back.

Source: Ping et al. 2020, arXiv:1912.01219; Lee et al. 2020, arXiv:2006.06280.
Letters: B batch, T samples, h rows, W columns, M mels, F frames, L layers, r channels, E an embedding's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from namexp.architectures.waveflow import FlowSpec, check_samples
from namexp.errors import UserError
from namexp.models.hifigan.convolutions import Convolution, Norm
from namexp.models.waveflow.conditioner import Upsampling
from namexp.models.waveflow.embedding import FlowEmbedding
from namexp.models.waveflow.estimator import Estimator, EstimatorWeights, Projection, Telling, full
from namexp.models.waveflow.flows import Flow, ProjectingFlow, SharedEstimator
from namexp.models.waveflow.picture import permuted, shifted, squeeze, unsqueeze

if TYPE_CHECKING:
    from namexp.models.waveflow.synthesizer import Synthesizer


class Details(NamedTuple):
    """What a forward pass finds.

    Attributes:
        z: (B, 1, h, W).
        logdet: summed over the batch.
        log_s: of every flow, (B, 1, rows that it changes, W).
        t: the same.
    """

    z: Tensor
    logdet: Tensor
    log_s: tuple[Tensor, ...]
    t: tuple[Tensor, ...]


class Part(NamedTuple):
    """What one flow computes with."""

    estimator: Estimator
    weights: EstimatorWeights
    projection: Projection
    telling: Telling | None


class WaveFlow(nn.Module):
    """All four kinds, as learned or as played.

    As played, norms are fused and a NanoFlow has its embedding's terms, ``h_cache`` (flows from the last to
    the first, L, 2r, 1, 1), instead of the embedding: the numbers that the published tables count.
    """

    def __init__(self, spec: FlowSpec, *, played: bool = False) -> None:
        super().__init__()
        self.spec, self.played = spec, played
        self.recompute = False  # in a backward pass, every flow from its input, instead of keeping all of it
        norm: Norm = "none" if played else "weight"
        # the order of construction is that of the official random numbers and optimiser states
        if spec.kind == "nanoflow":
            self._add_embedding(spec, played=played)
        if spec.kind in ("nanoflow", "decomp"):
            embedded = spec.kind == "nanoflow" and not played
            self.estimator = SharedEstimator(spec, norm=norm, embedded=embedded)
            self.flows = nn.ModuleList(ProjectingFlow(spec) for _ in range(spec.n_flow))
        elif spec.kind == "waveflow":
            self.flows = nn.ModuleList(Flow(spec, norm) for _ in range(spec.n_flow))
        else:
            self.flow = Flow(spec, norm)
        self.upsample_conv = Upsampling(norm=norm)

    def _add_embedding(self, spec: FlowSpec, *, played: bool) -> None:
        if played:
            shape = (spec.n_flow, spec.n_layer, 2 * spec.res_channels, 1, 1)
            self.h_cache = nn.Parameter(torch.empty(shape))
        else:
            assert spec.size_flow_embed is not None
            self.flow_embedding = FlowEmbedding(
                spec.n_flow, spec.size_flow_embed, normed=spec.use_weightnorm_embed
            )

    # --- what each flow computes with ---------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Of all flows; the norms of an estimator that several share are applied once."""
        spec = self.spec
        if spec.kind == "waveflow":
            couplings = [flow.coupling for flow in self.flows if isinstance(flow, Flow)]
            return [Part(c.net, c.net.effective(), c.proj_log_s_t, None) for c in couplings]
        if spec.kind == "naive":
            whole = self.flow.coupling
            return [Part(whole.net, whole.net.effective(), whole.proj_log_s_t, None)] * spec.n_flow
        net, tellings = self.estimator.net, self._tellings()
        weights = net.effective()
        return [
            Part(net, weights, flow.proj_log_s_t, telling)
            for flow, telling in zip(self._projecting, tellings, strict=True)
        ]

    @property
    def _projecting(self) -> list[ProjectingFlow]:
        return [flow for flow in self.flows if isinstance(flow, ProjectingFlow)]

    def _tellings(self) -> Sequence[Telling | None]:
        if self.spec.kind != "nanoflow":
            return [None] * self.spec.n_flow
        return [
            Telling(terms, flow.multgate)
            for terms, flow in zip(self.flow_terms(), self._projecting, strict=True)
        ]

    def flow_terms(self) -> Tensor:
        """(flows, L, 2r) of a NanoFlow: what each flow's embedding adds before the gates."""
        if self.played:
            return self.h_cache[..., 0, 0].flip(0)
        return self.estimator.net.terms(self.flow_embedding())

    # --- forward ------------------------------------------------------------------------------------

    def forward(self, audio: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) audio and its (B, M, F) log mel to z (B, 1, h, T/h) and log|dz/dx|, summed over the batch.

        Raises:
            UserError: h does not divide T, or the mel is too short for it.
        """
        found = self.details(audio, mel)
        return found.z, found.logdet

    def details(self, audio: Tensor, mel: Tensor) -> Details:
        """The same, and what every flow scales and shifts by.

        Raises:
            UserError: as ``forward``.
        """
        spec = self.spec
        conditioners = self._conditioners(mel, audio.shape[-1])
        x = squeeze(full(audio)[:, None], spec.n_height)
        log_ss: list[Tensor] = []
        ts: list[Tensor] = []
        for i, part in enumerate(self.parts()):
            if spec.coupling == "all_rows":
                x = permuted(x, spec.permutation_of(i))
            x, log_s, t = self._learning(x, conditioners[i], part)
            if spec.coupling == "keep_first":
                x = permuted(x, spec.permutation_of(i))
            log_ss.append(log_s)
            ts.append(t)
        logdet = torch.stack([log_s.sum() for log_s in log_ss]).sum()
        return Details(x.contiguous(), logdet, tuple(log_ss), tuple(ts))

    def _learning(self, x: Tensor, c: Tensor, part: Part) -> tuple[Tensor, Tensor, Tensor]:
        if not (self.recompute and torch.is_grad_enabled()):
            return self._transformed(x, c, part)
        found: tuple[Tensor, Tensor, Tensor] = checkpoint(
            self._transformed, x, c, part, use_reentrant=False, preserve_rng_state=False
        )
        return found

    def _transformed(self, x: Tensor, c: Tensor, part: Part) -> tuple[Tensor, Tensor, Tensor]:
        """A flow by itself, without its permutation."""
        first = self.first_row
        above = shifted(x) if first == 0 else x[:, :, :-1]
        c = c[:, :, first:]
        log_s, t = part.projection(
            part.estimator(above, lambda n: self._condition(part, n, c), part.weights, part.telling)
        )
        z = x[:, :, first:] * log_s.exp() + t
        return (z if first == 0 else torch.cat([x[:, :, :first], z], dim=2)), log_s, t

    @staticmethod
    def _condition(part: Part, n: int, c: Tensor) -> Tensor:
        return F.conv2d(c, *part.weights.layers[n].condition)

    @property
    def first_row(self) -> int:
        """The first row that a flow changes."""
        return self.spec.n_height - self.spec.transformed_rows

    def upsampled(self, mel: Tensor, num_samples: int) -> Tensor:
        """(B, M, F) to (B, M, h, W), for whole columns.

        Raises:
            UserError: h does not divide the samples, or the mel is too short for them.
        """
        check_samples(self.spec, num_samples, "audio")
        frames = -(-num_samples // self.spec.hop_length)
        if mel.shape[-1] < frames:
            raise UserError(
                f"mel (= {mel.shape[-1]} frames) conditions at most {mel.shape[-1] * self.spec.hop_length} "
                f"samples; {num_samples} need at least {frames} frames."
            )
        return squeeze(self.upsample_conv(mel)[..., :num_samples], self.spec.n_height)

    def _conditioners(self, mel: Tensor, num_samples: int) -> list[Tensor]:
        """For every flow, with its rows in the flow's order; equal ones are the same tensor."""
        c = self.upsampled(mel, num_samples)
        orders = self.spec.conditioner_orders
        there = {order: permuted(c, order).contiguous() for order in set(orders)}
        return [there[order] for order in orders]

    # --- as played ----------------------------------------------------------------------------------

    @torch.no_grad()
    def as_played(self) -> WaveFlow:
        """A copy with its norms fused and its embedding's terms cached; no random number is drawn for it."""
        with torch.device("meta"):
            played = WaveFlow(self.spec, played=True)
        wanted = played.state_dict()
        state = {name: value.clone() for name, value in self.state_dict().items() if name in wanted}
        for name, module in self.named_modules():
            if isinstance(module, Convolution) and f"{name}.weight" in wanted:
                state[f"{name}.weight"] = module.effective().weight.clone()
        if self.spec.kind == "nanoflow":
            state["h_cache"] = self.flow_terms().flip(0)[..., None, None].clone()
        played.load_state_dict(state, assign=True)
        return played.eval()

    def synthesizer(self) -> Synthesizer:
        """Its inverse, fast, as a module of its own; this one stays as it is."""
        from namexp.models.waveflow.synthesizer import Synthesizer

        return Synthesizer(self.as_played())

    # --- inverse ------------------------------------------------------------------------------------

    @torch.no_grad()
    def inverse(self, z: Tensor, mel: Tensor) -> Tensor:
        """(B, 1, h, W) noise and (B, M, F) to (B, T) audio, exactly: row by row, each from all above it.

        It computes whole passes for every row; ``synthesizer`` gives the same in an eighth of the time.

        Raises:
            UserError: the mel is too short for it.
        """
        spec = self.spec
        conditioners = self._conditioners(mel, z.shape[-2] * z.shape[-1])
        x, parts = full(z), self.parts()
        for i in reversed(range(spec.n_flow)):
            if spec.coupling == "keep_first":
                x = permuted(x, spec.permutation_of(i))
            x = self._undone(x, conditioners[i], parts[i])
            if spec.coupling == "all_rows":
                x = permuted(x, spec.permutation_of(i))
        return unsqueeze(x)[:, 0]

    def _undone(self, z: Tensor, c: Tensor, part: Part) -> Tensor:
        """The inverse of a flow by itself, without its permutation."""
        first = self.first_row
        conditions = [self._condition(part, n, c[:, :, first:]) for n in range(self.spec.n_layer)]
        rows = [z[:, :, row : row + 1] for row in range(first)]
        for row in range(first, self.spec.n_height):
            above = torch.cat([torch.zeros_like(z[:, :, :1]), *rows] if first == 0 else rows, dim=2)
            known = above.shape[2]
            features = part.estimator(
                above, lambda n, known=known: conditions[n][:, :, :known], part.weights, part.telling
            )
            log_s, t = part.projection(features[:, :, -1:])
            rows.append((z[:, :, row : row + 1] - t) * (-log_s).exp())
        return torch.cat(rows, dim=2)
