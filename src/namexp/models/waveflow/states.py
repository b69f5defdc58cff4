"""Weights of flows from files, in every form in which they are about.

The official ``waveflow_<n>`` is ``{"model": state, ...}``; its names may begin with DataParallel's
``module.``, and hold ``h_cache``, which is computed from the others and may be stale. Norms may be as they
are, fused or in torch's newer names; what the official synthesis fuses, conditioning convolutions in one and
the cache instead of the embedding, is taken apart again.
Letters: N flows, L layers, r channels, M mels, E size of an embedding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from namexp.errors import UserError
from namexp.models.hifigan.states import NEWER_NAMES
from namexp.models.waveflow.model import WaveFlow

CACHE = "h_cache"
PARALLEL = "module."
FUSED = re.compile(r"(.*)net\.fused_filter_gate_conv_c\.(weight|bias)")
SHOWN = 3  # names of a kind in a message


def state_of(content: Any, source: str) -> dict[str, Any]:
    """The weights in what a file holds, by official names.

    Raises:
        UserError: there are none.
    """
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not any(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f'{source}: no weights of a flow; expected {{"model": weights by name, ...}}.')
    return {_older(str(name).removeprefix(PARALLEL)): value for name, value in state.items()}


def load_weights(model: WaveFlow, content: Any, *, source: str, partial: bool = False) -> tuple[str, ...]:
    """Put the weights of a file into ``model``, as it is learned.

    Args:
        model: its norms stay as they are.
        content: of the file, or weights by name, in any of the forms; left as it is.
        source: where it comes from, for the message.
        partial: load what fits; the two numbers of a norm only together.

    Returns:
        What did not fit, a line for each name; nothing if not ``partial``.

    Raises:
        UserError: names missing or unexpected, or shapes that differ, in one line; nothing is loaded.
    """
    assert not model.played, "weights are loaded as they are learned"
    there = _taken_apart(model, state_of(content, source), source)
    wanted = model.state_dict()
    fitting, problems, used = _matched(wanted, there)
    problems["unexpected"] = [name for name in there if name not in used]
    if any(problems.values()) and not partial:
        told = "; ".join(_shortened(kind, names) for kind, names in problems.items() if names)
        raise UserError(f"{source}: the weights do not fit the model: {told}.")
    if not fitting:
        raise UserError(f"{source}: none of its weights fits the model.")
    model.load_state_dict({**wanted, **fitting})
    return tuple(f"{kind}: {name}" for kind, names in problems.items() for name in names)


def _older(name: str) -> str:
    for newer, older in NEWER_NAMES.items():
        if name.endswith(newer):
            return name.removesuffix(newer) + older
    return name


@torch.no_grad()
def _taken_apart(model: WaveFlow, state: dict[str, Any], source: str) -> dict[str, Any]:
    """Without what the official synthesis fuses."""
    found: dict[str, Any] = {}
    for name, value in state.items():
        if (match := FUSED.fullmatch(name)) and isinstance(value, Tensor):
            for n, piece in enumerate(value.chunk(model.spec.n_layer)):
                found[f"{match[1]}net.res_blocks.{n}.filter_gate_conv_c.{match[2]}"] = piece
        elif name != CACHE:
            found[name] = value
    cache = state.get(CACHE)
    if model.spec.kind == "nanoflow" and cache is not None and not any("conv_h." in name for name in found):
        found |= _embedded(model, cache, source)
    return found


def _embedded(model: WaveFlow, cache: Tensor, source: str) -> dict[str, Tensor]:
    """Unit vectors as an embedding whose terms are ``cache`` (N, L, 2r, 1, 1), the last flow's first."""
    spec = model.spec
    assert spec.size_flow_embed is not None
    shape = (spec.n_flow, spec.n_layer, 2 * spec.res_channels, 1, 1)
    if cache.shape != shape:
        raise UserError(f"{source}: h_cache {tuple(cache.shape)} where {shape} is expected.")
    if spec.size_flow_embed < spec.n_flow:
        raise UserError(
            f"{source}: its h_cache cannot be told apart by size_flow_embed (= {spec.size_flow_embed}); "
            f"at least {spec.n_flow} are needed."
        )
    terms = cache[..., 0, 0].flip(0)
    found = {"flow_embedding.weight": torch.eye(spec.n_flow, spec.size_flow_embed, dtype=terms.dtype)}
    for n in range(spec.n_layer):
        weight = terms.new_zeros(2 * spec.res_channels, spec.size_flow_embed, 1, 1)
        weight[:, : spec.n_flow, 0, 0] = terms[:, n].T
        name = f"estimator.net.res_blocks.{n}.filter_gate_conv_h"
        found |= {f"{name}.weight": weight, f"{name}.bias": terms.new_zeros(2 * spec.res_channels)}
    return found


def _matched(
    wanted: Mapping[str, Tensor], there: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, list[str]], set[str]]:
    """What fits; the names that do not, by kind; and the stored names that were looked at."""
    fitting: dict[str, Tensor] = {}
    missing: list[str] = []
    misshapen: list[str] = []
    used: set[str] = set()
    for names in _bases(wanted).values():
        values = {name: _value(name, there, used) for name in names}
        wrong = [name for name, value in values.items() if value is None or value.shape != wanted[name].shape]
        for name in wrong:
            value = values[name]
            if value is None:
                missing.append(name)
            else:
                misshapen.append(f"{name} {tuple(value.shape)} where {tuple(wanted[name].shape)} is expected")
        if not wrong:
            fitting |= {name: value for name, value in values.items() if value is not None}
    return fitting, {"missing": missing, "of another shape": misshapen}, used


def _bases(names: Iterable[str]) -> dict[str, list[str]]:
    """The numbers that make one weight, together."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(re.sub(r"\.weight_[gv]$", ".weight", name), []).append(name)
    return found


@torch.no_grad()
def _value(name: str, there: Mapping[str, Any], used: set[str]) -> Tensor | None:
    """The weight, gain, direction or other number of that name, from the form that is stored."""
    base, kind = re.sub(r"_[gv]$", "", name), name[-2:]
    normed = [f"{base}_g", f"{base}_v"]
    if kind in ("_g", "_v") and isinstance(there.get(base), Tensor):
        used.add(base)
        weight: Tensor = there[base]
        return torch.norm_except_dim(weight, 2, 0) if kind == "_g" else weight
    if name not in there and all(isinstance(there.get(key), Tensor) for key in normed):
        used.update(normed)
        g, v = (there[key] for key in normed)
        fits = g.shape == (v.shape[0], *[1] * (v.dim() - 1))
        return torch._weight_norm(v, g, 0) if fits else g
    used.add(name)
    value = there.get(name)
    return value if isinstance(value, Tensor) else None


def _shortened(kind: str, names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{kind}: {', '.join(names[:SHOWN])}{rest}"
