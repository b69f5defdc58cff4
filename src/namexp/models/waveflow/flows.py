"""Flows under their official names: who owns the estimator, the projection and the gates.

Letters: L layers, r channels.
"""

from __future__ import annotations

import torch
from torch import nn

from namexp.architectures.waveflow import FlowSpec
from namexp.models.hifigan.convolutions import Norm
from namexp.models.waveflow.estimator import Estimator, Projection


class SharedEstimator(nn.Module):
    """The estimator of all flows of a NanoFlow."""

    def __init__(self, spec: FlowSpec, *, norm: Norm, embedded: bool) -> None:
        super().__init__()
        self.net = Estimator(spec, norm=norm, embedded=embedded)


class Coupling(nn.Module):
    """An estimator with its projection."""

    def __init__(self, spec: FlowSpec, norm: Norm) -> None:
        super().__init__()
        self.net = Estimator(spec, norm=norm, embedded=False)
        self.proj_log_s_t = Projection(spec)


class Flow(nn.Module):
    """A flow that shares nothing, or all of it with the others."""

    def __init__(self, spec: FlowSpec, norm: Norm) -> None:
        super().__init__()
        self.coupling = Coupling(spec, norm)


class ProjectingFlow(nn.Module):
    """A flow whose estimator is that of all: what is left are a projection and perhaps gates (L, r)."""

    def __init__(self, spec: FlowSpec) -> None:
        super().__init__()
        self.proj_log_s_t = Projection(spec)
        if spec.kind == "nanoflow":
            self.multgate = nn.Parameter(torch.ones(spec.n_layer, spec.res_channels))
