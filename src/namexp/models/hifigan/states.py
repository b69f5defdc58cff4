"""Weights from files into models, in every form in which they are about.

A convolution ``c`` is stored by the official code as ``c.weight_g, c.weight_v``; with its norm fused as
``c.weight``; by torch's newer norms as ``c.parametrizations.weight.original0, original1``. Spectral norm:
``c.weight_orig, weight_u, weight_v`` or ``c.parametrizations.weight.original, 0._u, 0._v``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from namexp.errors import UserError
from namexp.models.hifigan.convolutions import Convolution

NEWER = ".parametrizations.weight."
NEWER_NAMES = {
    NEWER + "original0": ".weight_g",
    NEWER + "original1": ".weight_v",
    NEWER + "original": ".weight_orig",
    NEWER + "0._u": ".weight_u",
    NEWER + "0._v": ".weight_v",
}
SHOWN = 3  # names of a kind in a message


def load_weights(module: nn.Module, state: Mapping[str, Any], *, source: str) -> None:
    """Put ``state`` into ``module``, whose norms stay as they are.

    Args:
        module: a generator, a discriminator or several in one: all weights are those of convolutions.
        state: by the module's names, in any of the forms; left as it is.
        source: where it comes from, for the message.

    Raises:
        UserError: names missing or unexpected, or shapes that differ, in one line; nothing is loaded.
    """
    there = check_fit(module, state, source=source)
    converted: dict[str, Tensor] = {}
    for name, conv in _convolutions(module).items():
        converted |= _converted(name, conv, there)
    module.load_state_dict(converted)


def check_fit(module: nn.Module, state: Mapping[str, Any], *, source: str) -> Mapping[str, Tensor]:
    """See that ``state`` fits a module, which may lie on ``meta``: nothing is loaded or computed.

    Returns:
        The state by the older names.

    Raises:
        UserError: as ``load_weights``.
    """
    there = {_older(str(name)): value for name, value in state.items()}
    wanted: dict[str, torch.Size] = {}
    for name, conv in _convolutions(module).items():
        wanted |= _wanted(name, conv, there)
    _check(wanted, there, source)
    return there


def _convolutions(module: nn.Module) -> dict[str, Convolution]:
    return {n: m for n, m in module.named_modules() if isinstance(m, Convolution)}


def _is_plain(value: Any) -> bool:
    """Whether a value is an ordinary tensor of real numbers."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()


def _older(name: str) -> str:
    for newer, older in NEWER_NAMES.items():
        if name.endswith(newer):
            return name.removesuffix(newer) + older
    return name


def _wanted(name: str, conv: Convolution, there: Mapping[str, Any]) -> dict[str, torch.Size]:
    """The names and shapes that the stored form must have: that which is there, else the module's own."""
    shape, bias = conv.shape, {f"{name}.bias": conv.bias.shape}
    rows = torch.Size((shape[0],)), torch.Size((shape[1:].numel(),))
    gain = torch.Size((shape[0], *[1] * (len(shape) - 1)))
    weight_normed = {f"{name}.weight_g": gain, f"{name}.weight_v": shape}
    spectral = {f"{name}.weight_orig": shape, f"{name}.weight_u": rows[0], f"{name}.weight_v": rows[1]}
    plain = {f"{name}.weight": shape}
    if conv.norm == "spectral":
        return spectral | bias  # the estimate cannot be had from a weight that is divided already
    if f"{name}.weight" in there:
        return plain | bias
    if f"{name}.weight_g" in there or conv.norm == "weight":
        return weight_normed | bias
    return (spectral if f"{name}.weight_orig" in there else plain) | bias


def _check(wanted: Mapping[str, torch.Size], there: Mapping[str, Any], source: str) -> None:
    shaped = {key: value for key, value in there.items() if _is_plain(value)}
    problems = [
        *_named("missing", [key for key in wanted if key not in shaped]),
        *_named("unexpected", [key for key in there if key not in wanted]),
        *_named(
            "of another shape",
            [
                f"{key} {tuple(shaped[key].shape)} where {tuple(shape)} is expected"
                for key, shape in wanted.items()
                if key in shaped and shaped[key].shape != shape
            ],
        ),
    ]
    if problems:
        raise UserError(f"{source}: the weights do not fit the model: {'; '.join(problems)}.")


def _named(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{rest}"] if names else []


@torch.no_grad()
def _converted(name: str, conv: Convolution, there: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolution's own parameters and buffers."""
    own = {f"{name}.{key}": there.get(f"{name}.{key}") for key in conv.state_dict()}
    present = {key: value for key, value in own.items() if value is not None}
    if len(present) == len(own):
        return present
    weight = _effective(name, there)
    bias = {f"{name}.bias": there[f"{name}.bias"]}
    if conv.norm == "none":
        return bias | {f"{name}.weight": weight}
    return bias | {f"{name}.weight_v": weight, f"{name}.weight_g": torch.norm_except_dim(weight, 2, 0)}


def _effective(name: str, there: Mapping[str, Tensor]) -> Tensor:
    """The weight with its norm applied."""
    if f"{name}.weight" in there:
        return there[f"{name}.weight"]
    v = there[f"{name}.weight_v"]
    if f"{name}.weight_g" in there:
        return torch._weight_norm(v, there[f"{name}.weight_g"], 0)
    original = there[f"{name}.weight_orig"]
    return original / torch.dot(there[f"{name}.weight_u"], torch.mv(original.flatten(1), v))
