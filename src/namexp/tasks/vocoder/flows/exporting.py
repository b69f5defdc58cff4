"""A flow into ``model.safetensors``, read back and compared, or into a file of the official codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from namexp.engine.checkpoint import load_checkpoint
from namexp.engine.stored import save_verified
from namexp.errors import UserError
from namexp.schema.initial import Averaging
from namexp.schema.resuming import stored_config
from namexp.tasks.vocoder.flows.loading import load_flow
from namexp.tasks.vocoder.flows.official import CHECKPOINT, official_flow_config, write_official_flow
from namexp.tasks.vocoder.flows.playing import playable_samples, synthesised
from namexp.tasks.vocoder.flows.voice import FlowVoice, Found, read_flow, write_flow
from namexp.tasks.vocoder.layout import VocoderLayout

PROBE_FRAMES = 4
TOLERANCE = 1e-5
FORMATS = ("safetensors", "official")


def save_flow(path: Path, voice: FlowVoice) -> None:
    """Write ``model.safetensors``, verified by what it plays.

    Raises:
        UserError: weights that are not finite, or it plays something else.
    """
    network = voice.network
    mel = torch.randn(network.spec.n_mels, PROBE_FRAMES, generator=torch.Generator().manual_seed(0)) - 5.0
    samples = playable_samples(network, PROBE_FRAMES)

    def difference(file: Path) -> float:
        played = [
            synthesised(one, mel, samples, temperature=0.6, seed=0)
            for one in (network, read_flow(file).network)
        ]
        return float((played[0] - played[1]).abs().max())

    save_verified(
        path, network, voice.source, lambda file: write_flow(file, voice), difference, tolerance=TOLERANCE
    )


def export(
    source: Path, output: Path | None, *, format: str | None = None, config: Path | None = None,
    averaging: Averaging | None = None,
) -> list[Path]:  # fmt: skip
    """Export a run, or anything else that ``load_flow`` opens.

    Args:
        source: of it.
        output: the file; None: the run's ``model.safetensors``. An official one is named ``waveflow_`` and a
            number; of a directory the number is that of the batches learned from.
        format: None: as the name of ``output`` says.
        config: of an official ``source``.
        averaging: of the newest checkpoints of ``source``.

    Returns:
        The files, the model first.

    Raises:
        UserError: nothing there that can be exported, or the format has no such flow.
    """
    run = VocoderLayout(source)
    is_run = run.config.exists()
    if output is None and not is_run:
        raise UserError(f"{source}: is no run directory; name the file by -o FILE.")
    of = run.best_or_last() if is_run and averaging is None else None
    voice = load_flow(of or source, config, averaging)
    if _format(format, output) == "official":
        assert output is not None, "a name without a format is no official one"
        return _official(voice, run, output)
    path = output or run.model
    path.parent.mkdir(parents=True, exist_ok=True)
    save_flow(path, voice)
    return [path]


def _format(given: str | None, output: Path | None) -> str:
    if given not in (None, *FORMATS):
        raise UserError(f"--format {given}: flows are exported as {' or '.join(FORMATS)}.")
    named = output is not None and bool(CHECKPOINT.fullmatch(output.name))
    if given == "official" and output is None:
        raise UserError("--format official needs a name: -o DIR or -o waveflow_5000.")
    return given or ("official" if named else "safetensors")


def _official(voice: FlowVoice, run: VocoderLayout, output: Path) -> list[Path]:
    found = Found.of(voice)
    updates = int(voice.about.get("updates") or 0)
    if not CHECKPOINT.fullmatch(output.name):
        if output.suffix:
            raise UserError(
                f"-o {output}: an official flow is named waveflow_ and a number, such as waveflow_5000."
            )
        output = output / f"waveflow_{updates}"
    training = stored_config(run.config) if run.config.exists() else {}
    settings = official_flow_config(found, training)
    output.parent.mkdir(parents=True, exist_ok=True)
    more: dict[str, Any] = {"iteration": updates, "learning_rate": settings["train_config"]["learning_rate"]}
    return write_official_flow(
        output, found.learned().state_dict(), settings, {**more, **_optimisation(voice)}
    )


def _optimisation(voice: FlowVoice) -> Mapping[str, Any]:
    """State of optimiser and schedule, with which the official code can go on; none of an average."""
    if voice.source.suffix != ".ckpt":
        return {}
    content = load_checkpoint(voice.source)
    states = content.get("optimizer_states")
    if not states:  # one that was kept on the way
        return {}
    return {"optimizer": states[0], "scheduler": content.get("schedule") or {}}
