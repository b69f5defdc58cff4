"""Run directories of vocoders without training: what such a task declares, in milliseconds."""

from __future__ import annotations

import csv
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from namexp.audio.wav import write_flac
from namexp.comparison import adversarial
from namexp.runs.layout import RunLayout

RATE = 22050
METRICS = [
    {
        "name": "mel_error",
        "better": "lower",
        "scale": "distance",
        "digits": 4,
        "meaning": "L1 of the log mel",
    },
    {"name": "MRSTFT", "better": "lower", "scale": "distance"},
]
WORDS = {"target": "Recording", "generated": "Generated", "no_sound": "No clips were kept."}


def write_vocoder(
    root: Path,
    *,
    mel_error: float = 0.4,
    channels: int = 32,
    speed: float | None = 40.0,
    epochs: int = 20,
    seed: int = 0,
    adversarial_terms: bool = True,
    clips: bool = False,
    **summary: Any,
) -> Path:
    """A sound run: its discriminators stay unsure, its mel error falls to ``mel_error``.

    Args:
        root: its directory.
        mel_error: at the end.
        channels: of its first convolution, from which its size follows.
        speed: its realtime factor; None: not measured.
        epochs: rows of validation in metrics.csv.
        seed: of the config.
        adversarial_terms: False: mel alone.
        clips: whether there is something to hear and to see.
        summary: more of summary.json, or other values.
    """
    run = RunLayout(root)
    (root / ".hydra").mkdir(parents=True)
    config = {"model": {"kind": "hifigan", "upsample_initial_channel": channels}, "seed": seed}
    run.config.write_text(yaml.safe_dump(config))
    overrides = ["model=hifigan_tiny", f"model.upsample_initial_channel={channels}", f"seed={seed}"]
    (root / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    run.status.write_text(json.dumps({"state": "done", "started": "2026-11-24T10:00:00+00:00"}))
    write_columns(run, mel_error, epochs, adversarial_terms=adversarial_terms)
    content = {
        "task": "vocoder", "metrics": METRICS,
        "facts": ["parameters", "parameters_training", "macs_per_sample"],
        "training_id": f"{channels}-{seed}", "seedless_id": str(channels), "seed": seed, "sample_rate": RATE,
        "epochs": epochs, "seconds_training": 100.0, "words": WORDS,
        "figures": list(adversarial.FIGURES), "tables": list(adversarial.TABLES),
        "clips": write_clips(root) if clips else [],
        "submodels": [
            {
                "index": 0, "name": "generator", "parameters": 40 * channels**2,
                "parameters_training": 41 * channels**2, "macs_per_sample": 2 * channels**2,
                "mel_error": mel_error, "MRSTFT": 1.5, "val_loss": mel_error, "best_epoch": epochs - 1,
                "metric_suffix": "", "realtime_factor": speed,
            }
        ],
    }  # fmt: skip
    run.summary.write_text(json.dumps({**content, **summary}))
    return root


def write_columns(run: RunLayout, mel_error: float, epochs: int, *, adversarial_terms: bool = True) -> None:
    """metrics.csv of a sound run: four rows of training an epoch and one of validation."""
    rows = []
    for epoch in range(epochs):
        for k in range(5):
            done = (epoch + (k + 1) / 5) / epochs
            stage = "val" if k == 4 else "train"
            row: dict[str, Any] = {"epoch": epoch, "step": 500 * epoch + 100 * k + 99}
            values = sound_values(done, mel_error) if adversarial_terms else mel_values(done, mel_error)
            row.update({f"{stage}/{name}": value for name, value in values.items()})
            if stage == "val":
                row.update({"mel_error": values["loss_mel"], "val_loss": values["loss_mel"], "MRSTFT": 1.5})
            else:
                row.update({"train/lr_g": 2e-4 * 0.999**epoch, "train/grad_norm_g": 120.0 + 3 * k})
                if adversarial_terms:
                    row.update({"train/lr_d": 2e-4 * 0.999**epoch, "train/grad_norm_d": 11.0 + k})
            rows.append(row)
    with run.metrics.open("w", newline="") as file:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, list(names), restval="")
        writer.writeheader()
        writer.writerows(rows)


def mel_values(done: float, mel_error: float) -> dict[str, float]:
    """Where only the mel is learned; ``done`` runs from 0 to 1."""
    mel = mel_error + (1.9 - mel_error) * math.exp(-5.0 * done) - (1.9 - mel_error) * math.exp(-5.0) * done
    return {"loss_mel": mel, "total_loss_g": 45.0 * mel}


def sound_values(done: float, mel_error: float) -> dict[str, float]:
    """Every column without its stage, as an official training of this size goes."""
    values = mel_values(done, mel_error)
    swing = 0.03 * math.sin(40.0 * done)
    for own, count in (("mpd", 5), ("msd", 3)):
        real, fake = 0.5 + 0.2 * done + swing, 0.5 - 0.2 * done + swing
        values[adversarial.mean(own, "real")], values[adversarial.mean(own, "fake")] = real, fake
        values[adversarial.loss("gen", own)] = count * (1.0 - fake) ** 2
        values[adversarial.loss("disc", own)] = count * ((1.0 - real) ** 2 + fake**2)
        values[adversarial.loss("fm", own)] = 0.3 + 2.0 * done
    disc, gen, fm = (
        values[f"loss_{part}_mpd"] + values[f"loss_{part}_msd"] for part in ("disc", "gen", "fm")
    )
    values["total_loss_d"] = disc
    values["total_loss_g"] += gen + 2.0 * fm
    return values


def write_clips(root: Path) -> list[dict[str, Any]]:
    """Two clips with sound and a picture; what summary.json says of them."""
    clips = []
    for k, (name, why) in enumerate((("LJ-007", "worst by mel_error"), ("LJ-003", "median"))):
        t = np.arange(RATE) / RATE
        target = (0.4 * np.sin(2 * np.pi * (150 + 70 * k) * t) * np.exp(-3 * (t % 0.5))).astype(np.float32)
        paths = {key: f"audio/{name}-{key}.flac" for key in ("target", "generated")}
        write_flac(root / paths["target"], target, RATE)
        write_flac(root / paths["generated"], 0.9 * np.roll(target, 40), RATE)
        picture = f"pictures/{name}.png"
        write_picture(root / picture)
        numbers = {"mel_error": 0.5 - 0.2 * k, "gain_db": -0.9, "correlation": 0.1}
        clips.append({"name": name, "why": why, **paths, "picture": picture, **numbers})
    return clips


def write_picture(path: Path, width: int = 240, height: int = 80) -> None:
    """A grey ramp."""
    rows = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    lines = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # each begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
            checksum = zlib.crc32(kind + content)
            file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))
