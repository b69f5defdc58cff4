"""The official HiFi-GAN's outputs, losses and update steps, at the tolerances recorded beside them."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from namexp.audio.mel import log_mel, log_mels
from namexp.audio.mel_scale import MelSpec, filter_bank
from namexp.losses.adversarial import discriminator_loss, feature_loss, generator_loss
from namexp.models.hifigan import (
    Generator,
    HiFiGAN,
    Judgement,
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
)
from namexp.models.hifigan.convolutions import Conv1d, Convolution
from namexp.models.hifigan.states import load_weights
from namexp.tasks.vocoder.adversary import Report, discriminator_losses, generator_gradient
from tests.unit.models.hifigan_specs import V1, V2, V3, spec_of

pytestmark = pytest.mark.parity

INPUT_MEL, LOSS_MEL = MelSpec(), MelSpec(fmax=None)
FULL = {"v1": V1, "v2": V2, "v3": V3}


class Recorded:
    """The folder of recordings and what its index says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "hifigan"
        index = json.loads((folder / "index.json").read_text())
        self.about, self.tolerances = index["hifigan"], index["tolerances"]

    def arrays(self, name: str) -> dict[str, Tensor]:
        with np.load(self.folder / f"{name}_io.npz") as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}

    def near(self, found: Tensor, expected: Tensor | float, tolerance: str) -> None:
        expected = torch.as_tensor(expected, dtype=found.dtype)
        torch.testing.assert_close(found, expected, rtol=0.0, atol=self.tolerances[tolerance])


@pytest.fixture
def recorded(golden: Path) -> Recorded:
    return Recorded(golden / "vocoder")


def _fill(name: str, shape: tuple[int, ...], scale: float) -> Tensor:
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy((random.standard_normal(size=shape) * scale).astype(np.float32))


def _filled(module: nn.Module, prefix: str, gain: float, bias_scale: float) -> dict[str, Tensor]:
    """Plain weights by the rule that stands for 160 MB of them."""
    state = {}
    for name, conv in module.named_modules():
        if isinstance(conv, Convolution):
            key = f"{prefix}{name}"
            fan_in = math.prod(conv.shape[1:])
            state[f"{name}.weight"] = _fill(f"{key}.weight", tuple(conv.shape), gain / math.sqrt(fan_in))
            state[f"{name}.bias"] = _fill(f"{key}.bias", tuple(conv.bias.shape), bias_scale)
    return state


# --- mel ------------------------------------------------------------------------------------------------


def test_mels_and_filter_banks(recorded: Recorded) -> None:
    with np.load(recorded.folder / "mel.npz") as arrays:
        expected = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    pairs = ((INPUT_MEL, "8000"), (LOSS_MEL, "None"))
    together = log_mels(expected["wav"], [spec for spec, _ in pairs])
    for (spec, name), mel in zip(pairs, together, strict=True):
        bank = torch.tensor(filter_bank(spec))
        torch.testing.assert_close(bank, expected[f"mel_filterbank_fmax{name}"], rtol=2e-6, atol=1e-9)
        recorded.near(log_mel(expected["wav"], spec), expected[f"mel_fmax{name}"], "mel")
        assert torch.equal(mel, log_mel(expected["wav"], spec))
    mels = expected["mel_fmax8000"]
    example = recorded.about["discriminators"]["losses"]["mel_l1_example"]
    recorded.near((mels[0] - mels[1]).abs().mean(), example["l1"], "losses")


# --- generators -----------------------------------------------------------------------------------------


def _kept(outputs: dict[str, Tensor], name: str, module: object, args: object, output: Tensor) -> None:
    del module, args
    outputs[name] = output.clone()


class _Watched:
    """A part of the generator that remembers what it returned."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __call__(self, x: Tensor) -> Tensor:
        result: Tensor = self.part(x)
        self.output = result.clone()  # the next part may work in place
        return result


def test_a_generator_of_pairs_and_all_its_stages(recorded: Recorded) -> None:
    expected = recorded.arrays("gen_rb1")
    generator = Generator(spec_of(recorded.about["generators"]["gen_rb1"]["config"]))
    load_weights(generator, load_file(recorded.folder / "gen_rb1.safetensors"), source="gen_rb1")
    fused = generator.fused()
    recorded.near(fused(expected["mel"]), expected["wav_no_weight_norm"], "generator")
    recorded.near(fused.conv_pre.weight, expected["plain_conv_pre_weight"], "generator")
    recorded.near(fused.ups[0].weight, expected["plain_ups_0_weight"], "generator")

    outputs: dict[str, Tensor] = {}
    for name in ("conv_pre", "ups.0", "ups.1", "resblocks.0", "resblocks.2"):
        generator.get_submodule(name).register_forward_hook(partial(_kept, outputs, name))
    generator.fusions = tuple(_Watched(fusion) for fusion in generator.fusions)
    recorded.near(generator(expected["mel"]), expected["wav"], "generator")
    outputs |= {f"fusion.{i}": fusion.output for i, fusion in enumerate(generator.fusions)}
    names = {
        "conv_pre": "after_conv_pre", "ups.0": "after_ups_0", "ups.1": "after_ups_1",
        "resblocks.0": "resblock_0_out", "resblocks.2": "resblock_2_out",
        "fusion.0": "after_mrf_0", "fusion.1": "after_mrf_1",
    }  # fmt: skip
    for ours, theirs in names.items():
        recorded.near(outputs[ours], expected[theirs], "intermediate")


@pytest.mark.parametrize("version", FULL)
def test_generators_of_full_size(recorded: Recorded, version: str) -> None:
    generator = Generator(FULL[version], normed=False)
    load_weights(generator, _filled(generator, f"{version}.", 1.0, 0.01), source="the rule")
    mel = _fill("fullgen.mel", (1, 80, 16), 1.0)
    with torch.no_grad():
        audio = generator(mel)
    stats = recorded.about["full_generators"]["stats"][f"full_{version}"]
    recorded.near(audio.abs().max(), stats["abs_max"], "generator")
    recorded.near(audio.std(correction=0), stats["std"], "generator")
    if version == "v2":
        return  # no more was recorded of it
    expected = recorded.arrays(f"full_{version}")
    assert torch.equal(mel, expected["mel"])
    recorded.near(audio, expected["wav"], "generator")
    normed = Generator(FULL[version])
    load_weights(normed, generator.state_dict(), source="the plain one")
    with torch.no_grad():
        recorded.near(normed(mel), expected["wav"], "generator")


# --- discriminators -------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["mpd", "msd"])
@torch.no_grad()
def test_discriminators_scores_maps_and_losses(recorded: Recorded, side: str) -> None:
    kind = MultiPeriodDiscriminator if side == "mpd" else MultiScaleDiscriminator
    judges = kind(normed=False)
    load_weights(judges, _filled(judges, f"{side}.", 1.4, 0.05), source="the rule")
    expected = recorded.arrays(side)
    real, fake = judges(expected["y_real"]), judges(expected["y_fake"])
    for i in range(len(real)):
        for what, judged in (("real", real[i]), ("fake", fake[i])):
            recorded.near(judged.score, expected[f"score_{what}_{i}"], "discriminator_scores")
            _maps_agree(recorded, expected, what, i, judged)
    _losses_agree(recorded, recorded.about["discriminators"]["losses"][side], real, fake)


def _maps_agree(
    recorded: Recorded, expected: Mapping[str, Tensor], what: str, i: int, judged: Judgement
) -> None:
    for layer, features in enumerate(judged.features):
        assert list(features.shape) == expected[f"fmap_shape_{i}_{layer}"].tolist()
        stats = torch.stack(
            [features.double().mean(), features.double().abs().mean(), features.double().std()]
        )
        recorded.near(stats, expected[f"fmap_{what}_stats_{i}_{layer}"], "fmaps")
        first = expected.get(f"fmap_{what}_b0_{i}_{layer}")
        if first is not None:
            recorded.near(features[:1], first, "fmaps")


def _losses_agree(
    recorded: Recorded, losses: Mapping[str, Any], real: list[Judgement], fake: list[Judgement]
) -> None:
    pairs = list(zip(real, fake, strict=True))
    total = torch.stack([discriminator_loss(r.score, f.score) for r, f in pairs])
    parts = torch.tensor(losses["real_parts"]) + torch.tensor(losses["fake_parts"])
    recorded.near(total, parts, "losses")
    recorded.near(total.sum(), losses["discriminator_loss"], "losses")
    adversarial = torch.stack([generator_loss(f.score) for f in fake])
    recorded.near(adversarial, torch.tensor(losses["generator_parts"]), "losses")
    recorded.near(adversarial.sum(), losses["generator_loss"], "losses")
    matching = torch.stack([feature_loss(r.features, f.features) for r, f in pairs])
    recorded.near(2 * matching.sum(), losses["feature_loss_x2"], "losses")
    for judged, name in ((real, "mean_real"), (fake, "mean_fake")):
        means = torch.stack([one.score.mean() for one in judged])
        recorded.near(means, torch.tensor(losses[name]), "discriminator_scores")


def test_spectral_norm_steps_as_the_old_one_did(recorded: Recorded) -> None:
    expected = recorded.arrays("spectral_norm")
    conv = Conv1d(1, 128, 15, norm="spectral")
    conv.load_state_dict(
        {
            "weight_orig": expected["weight_orig"], "bias": expected["bias"],
            "weight_u": expected["u0"], "weight_v": expected["v0"],
        }
    )  # fmt: skip
    x = expected["x"]
    recorded.near(conv.eval()(x), expected["out_eval"], "spectral_norm")
    assert torch.equal(conv.weight_u, expected["u0"])
    for call in ("1", "2"):
        recorded.near(conv.train()(x), expected[f"out_train_call{call}"], "spectral_norm")
        recorded.near(conv.weight_u, expected[f"u_after{call}"], "spectral_norm")
    recorded.near(conv.eval()(x), expected["out_train_call2"], "spectral_norm")


# --- the step -------------------------------------------------------------------------------------------


def _as_recorded(recorded: Recorded) -> HiFiGAN:
    """The networks that the recorded steps began with."""
    gan = HiFiGAN(spec_of(recorded.about["train_steps"]["generator_config"]))
    names = {"g": gan.generator, "mpd": gan.mpd, "msd": gan.msd}
    for prefix, network in names.items():
        for name, conv in network.named_modules():
            if isinstance(conv, Convolution):
                _fill_normed(conv, f"ts.{prefix}.{name}")
    with torch.no_grad():
        gan.generator.conv_post.weight_g *= 0.5
    return gan


@torch.no_grad()
def _fill_normed(conv: Convolution, key: str) -> None:
    scale = 1.4 / math.sqrt(math.prod(conv.shape[1:]))
    conv.set_weight(_fill(f"{key}.weight", tuple(conv.shape), scale))
    conv.bias.copy_(_fill(f"{key}.bias", tuple(conv.bias.shape), 0.05))
    if conv.norm == "spectral":
        for estimate, name in ((conv.weight_u, "weight_u"), (conv.weight_v, "weight_v")):
            filled = _fill(f"{key}.{name}", tuple(estimate.shape), 1.0)
            estimate.copy_(filled / filled.norm())


def _step(
    gan: HiFiGAN, optimizers: Mapping[str, torch.optim.Optimizer], mel: Tensor, target: Tensor, real: Tensor
) -> dict[str, Tensor]:
    """One update of both, as the official code takes it; its losses by the recorded names."""
    report = Report()
    fake = gan.generator(mel)
    optimizers["d"].zero_grad()
    for loss in discriminator_losses(gan, real, fake, report):
        loss.backward()
    norms = {"grad_norm_d": _norm(gan.discriminator_parameters())}
    optimizers["d"].step()
    optimizers["g"].zero_grad()
    mel_loss = 45 * (target - log_mel(fake[:, 0], LOSS_MEL)).abs().mean()
    gradient = generator_gradient(gan, real, fake, report)
    ((fake * gradient).sum() + mel_loss).backward()
    norms["grad_norm_g"] = _norm(gan.generator.parameters())
    optimizers["g"].step()
    values = report.values
    found = norms | {"loss_mel_x45": mel_loss.detach()}
    for side in ("mpd", "msd"):
        found[f"loss_disc_{side}"] = values[f"loss_disc_{side}"]
        found[f"loss_gen_{side}"] = values[f"loss_gen_{side}"]
        found[f"loss_fm_{side}"] = 2 * values[f"loss_fm_{side}"]
        for what in ("real", "fake"):
            found[f"mean_{side}_{what}"] = values[f"mean_{side}_on_{what}"]
    found["loss_disc_all"] = found["loss_disc_mpd"] + found["loss_disc_msd"]
    terms = ("loss_mel_x45", "loss_fm_mpd", "loss_fm_msd", "loss_gen_mpd", "loss_gen_msd")
    found["loss_gen_all"] = torch.stack([found[name] for name in terms]).sum()
    return found


def _norm(parameters: Any) -> Tensor:
    return torch.stack([p.grad.norm() for p in parameters]).norm()


def test_three_steps_of_training(recorded: Recorded) -> None:
    about, expected = recorded.about["train_steps"], recorded.arrays("train_steps")
    gan = _as_recorded(recorded)
    settings = {key: about["optimizer"][key] for key in ("lr", "betas", "eps", "weight_decay")}
    optimizers = {
        "g": torch.optim.AdamW(gan.generator.parameters(), **settings),
        "d": torch.optim.AdamW(gan.discriminator_parameters(), **settings),
    }
    real = expected["y"][:, None]
    recorded.near(log_mel(expected["y"], INPUT_MEL), expected["mel_in"], "mel")
    recorded.near(log_mel(expected["y"], LOSS_MEL), expected["mel_loss_target"], "mel")
    with torch.no_grad():
        recorded.near(gan.generator(expected["mel_in"]), expected["wav_before"], "generator")
    for step in about["steps"]:
        found = _step(gan, optimizers, expected["mel_in"], expected["mel_loss_target"], real)
        assert found.keys() == step.keys()
        for name, value in step.items():
            kind = "grad_norms" if name.startswith("grad_norm") else "losses"
            tolerance = recorded.tolerances[f"train_step_{kind}_rel"]
            assert float(found[name]) == pytest.approx(value, rel=tolerance, abs=2e-6), name
    with torch.no_grad():
        recorded.near(gan.generator(expected["mel_in"]), expected["wav_after_3_steps"], "wav_after_3_steps")
    after = {
        "conv_post_weight_g_after": gan.generator.conv_post.weight_g,
        "conv_post_weight_v_after": gan.generator.conv_post.weight_v,
        "mpd0_conv_post_bias_after": gan.mpd.get_submodule("discriminators.0.conv_post").bias,
        "msd0_convs0_weight_u_after": gan.msd.get_submodule("discriminators.0.convs.0").weight_u,
    }
    for name, value in after.items():
        torch.testing.assert_close(value.detach(), expected[name], rtol=0.0, atol=2e-5)
