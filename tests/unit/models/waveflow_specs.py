"""Flows for the tests: by name, drawn at random, and with weights that do something."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec, check_flow
from namexp.models.waveflow import WaveFlow

WAVEFLOW = FlowSpec("waveflow", 5, 8, 3, 3, 8, n_layer_per_cycle=2)
NANOFLOW = FlowSpec("nanoflow", 5, 8, 3, 3, 8, size_flow_embed=6)
DECOMP = FlowSpec("decomp", 5, 8, 3, 3, 8, permutation="bipartized")
NAIVE = FlowSpec("naive", 5, 8, 3, 3, 8, dilations_h=(1, 3, 2))
KEPT = FlowSpec("waveflow", 5, 8, 3, 3, 8, coupling="keep_first")
ALL = {"waveflow": WAVEFLOW, "nanoflow": NANOFLOW, "decomp": DECOMP, "naive": NAIVE, "kept": KEPT}


def drawn(seed: int) -> FlowSpec:
    """Any configuration: kinds, 1 to 7 flows, heights, cycles and lists, permutations, couplings."""
    draw = random.Random(seed)
    kind = draw.choice(["waveflow", "nanoflow", "decomp", "naive"])
    h, L = draw.choice([8, 15, 16, 32]), draw.randint(1, 4)
    spec = FlowSpec(
        kind=kind, n_mels=5, n_height=h, n_flow=draw.randint(1, 7), n_layer=L, res_channels=8,
        n_layer_per_cycle=draw.randint(1, 3),
        dilations_h=tuple(draw.choice([1, 2, 3, 4]) for _ in range(L)) if draw.random() < 0.5 else None,
        size_flow_embed=7 if kind == "nanoflow" else None, use_weightnorm_embed=draw.random() < 0.5,
        permutation="reverse" if h % 2 else draw.choice(["reverse", "bipartized"]),
        coupling=draw.choice(["all_rows", "keep_first"]),
    )  # fmt: skip
    check_flow(spec, "model")
    return spec


def lively(spec: FlowSpec) -> WaveFlow:
    """A model that scales and shifts, every other flow up and down, unlike an untrained one."""
    model, sign = WaveFlow(spec), 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("proj_log_s_t.conv.weight"):
                parameter.normal_(0, 0.05)
            elif name.endswith("proj_log_s_t.conv.bias"):
                parameter.copy_(torch.tensor([0.3 * sign, 0.05]))
                sign = -sign
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
            elif name.endswith(("multgate", "scale")):
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif name.endswith("weight_g"):
                parameter.mul_(1.2)  # the gain is no longer the norm of v
    return model


def stretch(model: WaveFlow, audio: Tensor, mel: Tensor, *, most: float) -> None:
    """Scale what makes log s until the largest |log s| is ``most`` or a little less.

    Where log s swings as far from sample to sample in each of many flows, the map itself amplifies rounding
    beyond what any inverse can undo; here most of it is each flow's own gain.
    """
    projections = [p for n, p in model.named_parameters() if "proj_log_s_t.conv" in n]
    for _ in range(40):
        with torch.no_grad():
            found = max(float(s.abs().max()) for s in model.details(audio, mel).log_s)
            if 0.9 * most <= found <= most:
                return
            for parameter in projections:
                parameter[0] *= (0.96 * most / found) ** 0.7
    raise AssertionError(f"log s (= {found}) does not come near {most}")


def pair(spec: FlowSpec, columns: int, *, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Audio of so many columns and a mel for it, in float64."""
    samples = columns * spec.n_height
    audio = 0.3 * torch.randn(batch, samples, dtype=torch.float64)
    return audio, torch.randn(batch, spec.n_mels, -(-samples // spec.hop_length), dtype=torch.float64)
