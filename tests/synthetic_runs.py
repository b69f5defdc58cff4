"""Run directories without training: every file as namexp.train writes it, in milliseconds."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from namexp.runs.layout import RunLayout
from namexp.runs.listening import write_listening

RATE = 8000
AUDIO_SECONDS = 4


def write_run(
    root: Path,
    *,
    channels: Sequence[int] = (3, 8),
    esr: Sequence[float] = (0.1, 0.02),
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    state: str = "done",
    error: str | None = None,
    max_values: Any = (0.5, 1.0),
    audio: bool = False,
    epochs: int = 5,
    **summary: Any,
) -> Path:
    """A run of a pack.

    Args:
        root: its directory.
        channels: of the submodels.
        esr: of the submodels.
        seed: of the config.
        settings: dotted keys of the config that somebody chose.
        state: of status.json; a run that is not done has no summary.
        error: of status.json.
        max_values: of summary.json.
        audio: whether there is listening material.
        epochs: rows of metrics.csv.
        summary: more of summary.json.
    """
    run = RunLayout(root)
    (root / ".hydra").mkdir(parents=True)
    chosen = {"model.channels": list(channels), **(settings or {})}
    config = {"model": {"kind": "packed_wavenet"}, "data": {"ny": 8192}, "optimizer": {"lr": 0.004}}
    for key, value in chosen.items():
        group, name = key.split(".")
        config.setdefault(group, {})[name] = value
    overrides = ["model=packed_wavenet_small", *(f"{k}={_value(v)}" for k, v in chosen.items())]
    choices = {"model": "packed_wavenet_small", "data": "normalized", "hydra/launcher": "basic"}
    hydra = {"hydra": {"runtime": {"cwd": "/home/guitarist", "choices": choices}}}
    run.config.write_text(yaml.safe_dump({**config, "seed": seed}))
    (root / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([*overrides, f"seed={seed}"]))
    (root / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(hydra))
    status = {"state": state, "error": error, "pid": 1, "started": "2026-11-21T10:00:00+00:00", "ended": None}
    run.status.write_text(json.dumps(status))
    if state == "failed":
        return root
    _write_metrics(run, esr, epochs)
    if state == "done":
        content = _summary(channels, esr, seed, max_values, chosen, epochs)
        run.summary.write_text(json.dumps({**content, **summary}))
    if audio:
        write_audio(run, esr, seed)
    return root


def _value(value: Any) -> str:
    return json.dumps(value).replace(" ", "") if isinstance(value, list) else str(value)


def _summary(
    channels: Sequence[int],
    esr: Sequence[float],
    seed: int,
    max_values: Any,
    chosen: Mapping[str, Any],
    epochs: int,
) -> dict[str, Any]:
    submodels = [
        {
            "index": i, "name": f"channels_{c}", "channels": c, "parameters": 30 * c * c, "ESR": esr[i],
            "macs_per_sample": 36 * c * c, "realtime_factor": 900.0 / c, "MSE": esr[i] / 50,
            "MRSTFT": 1 + esr[i], "val_loss": esr[i] / 50, "best_epoch": epochs - 1,
            "metric_suffix": f"_packed_{i}",
        }
        for i, c in enumerate(channels)
    ]  # fmt: skip
    return {
        "training_id": f"{json.dumps(chosen)}-{seed}", "reused_from": None, "seed": seed,
        "receptive_field": 1796, "sample_rate": RATE, "seconds_training": 60.0 + seed, "epochs": epochs,
        "submodels": submodels, "max_values": max_values and list(max_values),
        "container_max_values": "uniform", "audio_sha256": {"input": ["aa"], "target": ["bb"]},
    }  # fmt: skip


def _write_metrics(run: RunLayout, esr: Sequence[float], epochs: int) -> None:
    """Curves that fall to ``esr``, with a row of training between two validations."""
    suffixes = [f"_packed_{i}" for i in range(len(esr))]
    names = [f"{metric}{s}" for metric in ("ESR", "val_loss") for s in ("", *suffixes)]
    with run.metrics.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", "step", "train/loss", *names], restval="")
        writer.writeheader()
        for epoch in range(epochs):
            values = [e * (1 + 4 * 0.5**epoch * (epoch < epochs - 1)) for e in esr]
            row: dict[str, Any] = {"epoch": epoch, "step": 10 * epoch + 9}
            writer.writerow({**row, "train/loss": sum(values)})
            for metric, factor in (("ESR", 1.0), ("val_loss", 0.02)):
                row[metric] = factor * float(np.mean(values))
                row.update({f"{metric}{s}": factor * v for s, v in zip(suffixes, values, strict=True)})
            writer.writerow({**row, "step": 10 * epoch + 10})


def write_audio(run: RunLayout, esr: Sequence[float], seed: int) -> None:
    """A target that decays again and again, and predictions with noise of the ESR."""
    random = np.random.RandomState(seed)
    t = np.arange(AUDIO_SECONDS * RATE) / RATE
    target = 0.6 * np.sin(2 * np.pi * 110 * t) * np.exp(-(t % 1.0))
    power = float(np.mean(target**2))
    noise = random.standard_normal((len(esr), t.size)) * np.sqrt(power * np.array(esr))[:, None]
    write_listening(
        run,
        target=target.astype(np.float32),
        predictions=(target + noise).astype(np.float32),
        sample_rate=RATE,
    )


def write_sweep(root: Path, jobs: int, *, audio: int = 0) -> Path:
    """``jobs`` runs of random size and quality in ``root``, the first ``audio`` of them with sound.

    One in 25 failed, one was interrupted; settings are repeated with three seeds.
    """
    random = np.random.RandomState(0)
    for job in range(jobs):
        small, large = 2 + (job // 3) % 7, 8 + (job // 21) % 9
        rate = float(0.001 * (1 + job // 3 % 5))
        noise = np.exp(0.1 * random.standard_normal(2))
        esr = [float(0.5 / small * noise[0]), float(0.2 / large * noise[1])]
        state = "failed" if job % 25 == 24 else "interrupted" if job == 5 else "done"
        write_run(
            root / str(job),
            channels=(small, large),
            esr=esr,
            seed=job % 3,
            settings={"optimizer.lr": rate},
            state=state,
            error="UserError: optimizer.lr (= 0) must be above 0." if state == "failed" else None,
            audio=job < audio,
            epochs=40,
        )
    return root
