"""HiFi-GAN's weights from every form in which they are stored."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from namexp.errors import UserError
from namexp.models.hifigan import Generator, MultiScaleDiscriminator
from namexp.models.hifigan.convolutions import Conv1d
from namexp.models.hifigan.states import load_weights
from tests.unit.models.hifigan_specs import SMALL_V1


def _source() -> Generator:
    generator = Generator(SMALL_V1)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(1.5)  # the gain is no longer the norm of v
    return generator


def _newer(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        state = {k.replace(old, f"parametrizations.weight.{new}"): v for k, v in state.items()}
    return state


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("form", ["weight_g", "fused", "parametrised"])
def test_every_form_loads_into_every_generator(form: str, normed: bool) -> None:
    source = _source()
    state = dict((source.fused() if form == "fused" else source).state_dict())
    if form == "parametrised":
        state = _newer(state)
    target = Generator(SMALL_V1, normed=normed)
    load_weights(target, state, source="a file")
    mel = torch.randn(1, 6, 8)
    torch.testing.assert_close(target(mel), source(mel), rtol=0.0, atol=1e-6)
    if form != "fused" and normed:
        assert all(torch.equal(v, source.state_dict()[k]) for k, v in target.state_dict().items())
    with torch.no_grad():
        next(target.parameters()).add_(1.0)
    assert torch.equal(next(iter(state.values())), next(iter(source.state_dict().values())))


class _One(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv


def test_torchs_newer_norms_are_understood() -> None:
    x = torch.randn(1, 3, 20)
    weight = _One(parametrizations.weight_norm(nn.Conv1d(3, 4, 5, padding=2)))
    spectral = _One(parametrizations.spectral_norm(nn.Conv1d(3, 4, 5, padding=2))).eval()
    for theirs, norms in ((weight, ("weight", "none")), (spectral, ("spectral", "none"))):
        for norm in norms:
            ours = _One(Conv1d(3, 4, 5, norm=norm)).eval()
            load_weights(ours, theirs.state_dict(), source="a file")
            torch.testing.assert_close(ours.conv(x), theirs.conv(x), rtol=0.0, atol=1e-6)


def test_the_spectral_discriminator_loads_fused_or_as_it_is() -> None:
    source = MultiScaleDiscriminator(width=16).eval()
    audio = torch.randn(1, 1, 400)
    for target in (MultiScaleDiscriminator(width=16).eval(), MultiScaleDiscriminator(width=16, normed=False)):
        load_weights(target, source.state_dict(), source="a file")
        for one, other in zip(target(audio), source(audio), strict=True):
            torch.testing.assert_close(one.score, other.score, rtol=0.0, atol=1e-6)


def _without(state: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if part not in key}


def test_what_does_not_fit_is_named_and_nothing_is_loaded() -> None:
    target = Generator(SMALL_V1)
    state = dict(target.state_dict())
    before = {key: value.clone() for key, value in state.items()}
    plain = target.fused().state_dict()
    cases = {
        "missing: conv_pre.bias": _without(state, "conv_pre.bias"),
        "missing: ups.0.weight_g": _without(state, "ups.0.weight_g"),
        "missing: ups.0.weight_g, ups.0.weight_v": _without(plain, "ups.0.weight"),
        "unexpected: ups.7.weight_g": {**state, "ups.7.weight_g": state["ups.0.weight_g"]},
        "unexpected: conv_pre.weight_g": {**plain, "conv_pre.weight_g": state["conv_pre.weight_g"]},
        "of another shape: conv_pre.bias (3,) where (8,) is expected": {
            **state, "conv_pre.bias": torch.zeros(3)
        },
        "missing: conv_post.bias": {**state, "conv_post.bias": "not a tensor"},
        "and 57 more": {},
    }  # fmt: skip
    for told, wrong in cases.items():
        with pytest.raises(UserError) as caught:
            load_weights(target, wrong, source="g_00000001")
        message = str(caught.value)
        assert message.startswith("g_00000001: the weights do not fit the model: ")
        assert told in message
        assert "\n" not in message
        assert len(message) < 400
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_a_spectral_norm_cannot_be_had_from_fused_weights() -> None:
    with pytest.raises(UserError, match=r"missing: discriminators\.0\.convs\.0\.weight_orig"):
        load_weights(
            MultiScaleDiscriminator(width=16),
            MultiScaleDiscriminator(width=16, normed=False).state_dict(),
            source="do_00000001",
        )
