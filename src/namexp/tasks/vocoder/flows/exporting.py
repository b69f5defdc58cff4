"""A flow into ``model.safetensors``, read back and compared."""

from __future__ import annotations

from pathlib import Path

import torch

from namexp.engine.stored import refuse_diverged
from namexp.errors import UserError
from namexp.tasks.vocoder.flows.playing import playable_samples, synthesised
from namexp.tasks.vocoder.flows.voice import FlowVoice, load_flow, read_flow, write_flow
from namexp.tasks.vocoder.layout import VocoderLayout

PROBE_FRAMES = 4
TOLERANCE = 1e-5


def save_verified(path: Path, voice: FlowVoice) -> None:
    """Write the file, read it back, and compare what it plays.

    Raises:
        UserError: weights that are not finite, or it plays something else.
    """
    network = voice.network
    refuse_diverged(network, voice.source)
    write_flow(path, voice)
    mel = torch.randn(network.spec.n_mels, PROBE_FRAMES, generator=torch.Generator().manual_seed(0)) - 5.0
    samples = playable_samples(network, PROBE_FRAMES)
    played = [
        synthesised(one, mel, samples, temperature=0.6, seed=0) for one in (network, read_flow(path).network)
    ]
    error = float((played[0] - played[1]).abs().max())
    if not error <= TOLERANCE:
        path.unlink()
        raise UserError(f"{path}: plays something else than the network (by {error:g}); it was removed.")


def export(source: Path, output: Path | None) -> Path:
    """Export a run, or anything else that ``load_flow`` opens.

    Raises:
        UserError: nothing there that can be exported.
    """
    run = VocoderLayout(source)
    if output is None and not run.config.exists():
        raise UserError(f"{source}: is no run directory; name the file by -o FILE.")
    path = output or run.model
    path.parent.mkdir(parents=True, exist_ok=True)
    save_verified(path, load_flow(run.best_or_last() or source))
    return path
