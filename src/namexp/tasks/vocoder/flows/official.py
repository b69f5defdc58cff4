"""The official flow codes' files: ``waveflow_<n>``, and the configuration that tells what they hold.

Source: what the ``train.py`` of the NanoFlow and of the WaveFlow repository save and read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.atomic import write_atomically
from namexp.errors import UserError
from namexp.models.waveflow.states import state_of
from namexp.reading.damage import content_of
from namexp.runs.files import write_json
from namexp.schema.fields import Fields
from namexp.tasks.vocoder.config.flow import KINDS, parse_flow
from namexp.tasks.vocoder.config.mel import parse_mels
from namexp.tasks.vocoder.flows.voice import Found
from namexp.tasks.vocoder.weights.official import loaded, official_values

CHECKPOINT = re.compile(r"waveflow_(\d+)")
BIPARTIZED = "waveflow_bipartize"
COUPLING_TYPES = (*KINDS, BIPARTIZED)
# ours, theirs, and what the official configurations say where one does not
MEL_NAMES = (
    ("n_fft", "filter_length", 1024), ("hop_length", "hop_length", 256), ("win_length", "win_length", 1024),
    ("fmin", "mel_fmin", 0.0), ("fmax", "mel_fmax", 8000.0),
)  # fmt: skip
SAMPLE_RATE = 22050
NUMBERS = ("n_height", "n_flow", "n_layer", "n_layer_per_cycle", "res_channels")
TRUTHS = {"true": True, "false": False}  # the official files write them as text


def official_checkpoints(folder: Path) -> list[Path]:
    """``waveflow_<n>`` in a directory, the oldest first."""
    found = [path for path in folder.glob("waveflow_*") if CHECKPOINT.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.rpartition("_")[2]))


def read_official_flow(path: Path, config: Path | Mapping[str, Any] | None = None) -> Found:
    """A ``waveflow_<n>``.

    Args:
        path: of the file.
        config: its configuration, or the file of it; None: ``config.json`` beside it.

    Raises:
        UserError: missing, damaged, or the configuration is of another program.
    """
    content = loaded(path)
    with content_of(path):
        state = state_of(content, str(path))
        return found_official(path, state, content.get("iteration"), config)


def found_official(
    path: Path, state: Mapping[str, Any], iteration: Any, config: Path | Mapping[str, Any] | None
) -> Found:
    """Weights with what their configuration says of them.

    Raises:
        UserError: the configuration is missing, damaged or of another program.
    """
    values, place = official_values(path.with_name("config.json") if config is None else config)
    model = Fields(values.get("waveflow_config", values), f"{place}: waveflow_config")
    data = Fields(values.get("data_config") or {}, f"{place}: data_config")
    mel = {ours: data.raw(theirs, default) for ours, theirs, default in MEL_NAMES}
    mel |= {"n_mels": model.integer("cin_channels", minimum=1), "fmax_loss": mel["fmax"], "centered": True}
    mels = parse_mels(mel, data.integer("sampling_rate", SAMPLE_RATE, minimum=1), f"{place}: data_config")
    coupling_type = model.choice("coupling_type", COUPLING_TYPES)
    kind = "waveflow" if coupling_type == BIPARTIZED else coupling_type
    bipartized = coupling_type == BIPARTIZED or _truth(model.raw("bipartize", False))
    scaled = any(name.endswith("proj_log_s_t.scale") for name in state)
    spec = {
        **{name: model.raw(name, 1 if name == "n_layer_per_cycle" else None) for name in NUMBERS},
        "dilations_h": None,
        "size_flow_embed": model.raw("size_flow_embed", None) if kind == "nanoflow" else None,
        "use_weightnorm_embed": kind == "nanoflow" and _truth(model.raw("use_weightnorm_embed", False)),
        "permutation": "bipartized" if bipartized else "reverse",
        "coupling": "all_rows" if scaled else "keep_first",  # the two repositories have the same names
    }
    about = {"updates": iteration} if isinstance(iteration, int) else {}
    return Found(path, kind, parse_flow(spec, KINDS[kind], mels, model.place), mels, state, about)


def _truth(value: Any) -> bool:
    return TRUTHS.get(value.lower(), False) if isinstance(value, str) else bool(value)


def official_flow_config(found: Found, training: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``config.json``.

    Args:
        found: the flow.
        training: a run's config; empty: as the official ones are.

    Raises:
        UserError: the official codes have no such flow.
    """
    spec, mel = found.spec, found.mels.to_plain()
    if spec.dilations_h is not None:
        raise UserError(
            f"{found.source}: has the height dilations {list(spec.dilations_h)}, which the official codes "
            "cannot be told; export it as safetensors."
        )
    keep_first = spec.coupling == "keep_first"
    bipartized = spec.permutation == "bipartized"
    if keep_first and found.kind != "waveflow":
        raise UserError(f"{found.source}: is a {found.kind} that keeps row 0, which no official code has.")
    model: dict[str, Any] = {
        "model_name": found.kind,
        "cin_channels": spec.n_mels,
        **{name: getattr(spec, name) for name in NUMBERS},
        "coupling_type": BIPARTIZED if keep_first and bipartized else found.kind,
    }
    if found.kind == "nanoflow":
        model |= {
            "size_flow_embed": spec.size_flow_embed,
            "use_weightnorm_embed": str(spec.use_weightnorm_embed),
        }
    if bipartized and not keep_first:
        model["bipartize"] = True  # theirs has it as an argument of the class alone
    return {
        "train_config": _train_config(training),
        "data_config": {
            "training_files": "train_files.txt",
            "test_files": "test_files.txt",
            "segment_length": training.get("data", {}).get("segment_size", 16000),
            "sampling_rate": found.mels.input.sample_rate,
            **{theirs: mel[ours] for ours, theirs, _ in MEL_NAMES},
        },
        "dist_config": {"dist_backend": "nccl", "dist_url": "tcp://localhost:54321"},
        "waveflow_config": model,
    }


def _train_config(training: Mapping[str, Any]) -> dict[str, Any]:
    scheduler = training.get("scheduler", {}).get("options") or {}
    return {
        "fp16_run": training.get("trainer", {}).get("precision") == "16-mixed",
        "output_directory": "experiments",
        "epochs": 100000,
        "learning_rate": training.get("optimizer", {}).get("lr", 1e-3),
        "lr_decay_step": scheduler.get("step_size", 200000),
        "lr_decay_gamma": scheduler.get("gamma", 0.5),
        "sigma": training.get("loss", {}).get("sigma", 1.0),
        "iters_per_checkpoint": 5000,
        "batch_size": training.get("data", {}).get("batch_size", 8),
        "seed": training.get("seed", 1234),
        "checkpoint_path": "",
        "with_tensorboard": True,
    }


def write_official_flow(
    path: Path, state: Mapping[str, Tensor], config: Mapping[str, Any], more: Mapping[str, Any]
) -> list[Path]:
    """Write ``waveflow_<n>`` and ``config.json``, each whole or not at all.

    Args:
        path: of the checkpoint.
        state: the weights by official names, with their norms.
        config: content of ``config.json``.
        more: of the checkpoint, beside the weights.
    """
    settings = path.with_name("config.json")
    write_json(settings, config)
    content = {"model": {name: value.detach().cpu().clone() for name, value in state.items()}, **more}
    write_atomically(path, lambda temporary: torch.save(content, temporary))
    return [path, settings]
