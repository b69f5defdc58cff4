"""The official HiFi-GAN in a process of its own: synthesis, or training steps; one line of JSON.

Its code is that of the checkout; only the calls that librosa and torch have changed since are put right, in
memory. Needs torch, librosa, scipy and matplotlib, and nothing of namexp.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

CHANGED = (
    (
        "librosa_mel_fn(sampling_rate, n_fft, num_mels, fmin, fmax)",
        "librosa_mel_fn(sr=sampling_rate, n_fft=n_fft, n_mels=num_mels, fmin=fmin, fmax=fmax)",
    ),
    ("onesided=True)", "onesided=True, return_complex=True)"),
    ("spec.pow(2).sum(-1)", "torch.view_as_real(spec).pow(2).sum(-1)"),
)


def official(checkout: Path) -> tuple[Any, Any]:
    """Its models, and its module of mel spectrograms."""
    sys.path.insert(0, str(checkout))
    text = (checkout / "meldataset.py").read_text(encoding="utf-8")
    for old, new in CHANGED:
        text = text.replace(old, new)
    mels = types.ModuleType("meldataset")
    exec(compile(text, "meldataset.py", "exec"), mels.__dict__)
    return importlib.import_module("models"), mels


def settings(checkout: Path, name: str) -> types.SimpleNamespace:
    """Of ``v1``, ``v2`` or ``v3``."""
    return types.SimpleNamespace(**json.loads((checkout / f"config_{name}.json").read_text(encoding="utf-8")))


def synthesis(given: argparse.Namespace) -> dict[str, float]:
    """The best of several rounds of one clip, weight norm removed."""
    models, _ = official(given.checkout)
    h = settings(given.checkout, given.model)
    generator = models.Generator(h).eval()
    generator.remove_weight_norm()
    frames = int(given.seconds * h.sampling_rate / h.hop_size)
    mel = torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(0))
    cpu, wall = [], []
    with torch.inference_mode():
        generator(mel)
        for _ in range(given.rounds):
            c, w = time.process_time(), time.perf_counter()
            generator(mel)
            cpu.append(time.process_time() - c)
            wall.append(time.perf_counter() - w)
    return {
        "cpu_s_best": min(cpu),
        "wall_s_best": min(wall),
        "audio_s": frames * h.hop_size / h.sampling_rate,
    }


def steps(given: argparse.Namespace) -> dict[str, Any]:
    """Complete steps on given segments, from the weights of a seed."""
    models, mels = official(given.checkout)
    h = settings(given.checkout, given.model)
    torch.manual_seed(given.seed)
    g = models.Generator(h)
    mpd, msd = models.MultiPeriodDiscriminator(), models.MultiScaleDiscriminator()
    optim_g = torch.optim.AdamW(g.parameters(), h.learning_rate, betas=(h.adam_b1, h.adam_b2))
    both = [*msd.parameters(), *mpd.parameters()]
    optim_d = torch.optim.AdamW(both, h.learning_rate, betas=(h.adam_b1, h.adam_b2))

    def mel(audio: torch.Tensor, fmax: float | None) -> torch.Tensor:
        return mels.mel_spectrogram(
            audio, h.n_fft, h.num_mels, h.sampling_rate, h.hop_size, h.win_size, h.fmin, fmax
        )

    cpu, losses = [], []
    for segments in torch.from_numpy(np.load(given.segments)):
        x, target, y = mel(segments, h.fmax), mel(segments, h.fmax_for_loss), segments[:, None]
        begun = time.process_time()
        fake = g(x)
        found = mel(fake[:, 0], h.fmax_for_loss)
        optim_d.zero_grad()
        real_p, fake_p, _, _ = mpd(y, fake.detach())
        real_s, fake_s, _, _ = msd(y, fake.detach())
        loss_d = sum(models.discriminator_loss(r, f)[0] for r, f in ((real_p, fake_p), (real_s, fake_s)))
        loss_d.backward()
        optim_d.step()
        optim_g.zero_grad()
        _, score_p, maps_p, maps_fake_p = mpd(y, fake)
        _, score_s, maps_s, maps_fake_s = msd(y, fake)
        loss_g = (
            45 * F.l1_loss(target, found)
            + models.feature_loss(maps_p, maps_fake_p)
            + models.feature_loss(maps_s, maps_fake_s)
            + models.generator_loss(score_p)[0]
            + models.generator_loss(score_s)[0]
        )
        loss_g.backward()
        optim_g.step()
        cpu.append(time.process_time() - begun)
        losses.append([float(loss_d), float(loss_g)])
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu_s": cpu, "losses": losses, "max_rss": rss}


def main() -> None:
    """The command that the benchmark runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("synthesis", "steps"))
    parser.add_argument("checkout", type=Path)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--segments")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(json.dumps(synthesis(given) if given.what == "synthesis" else steps(given)))


if __name__ == "__main__":
    main()
