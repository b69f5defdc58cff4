"""What is in a file, in words and numbers, for people and for scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.playability import notices
from namexp.architectures.played import ContainerSpec
from namexp.architectures.spec import ModelSpec
from namexp.architectures.wavenet import WaveNetSpec
from namexp.errors import UserError
from namexp.nam.document import NEWEST, load_document, version_numbers
from namexp.nam.fast_path import fast_path
from namexp.nam.model import NamModel, model_from_document
from namexp.runs.files import finite

LOUDNESS_TOLERANCE_DB = 0.01
MOST_SHOWN_DEPTH = 20  # of metadata


def describe_file(path: Path) -> dict[str, Any]:
    """Everything that ``inspect --json`` prints: ``loads``, ``reason`` and the model."""
    document: dict[str, Any] = {}
    try:
        document = load_document(path)
        model = model_from_document(document)
    except UserError as error:
        architecture = document.get("architecture")
        architecture = architecture if isinstance(architecture, str) else None
        return {"loads": False, "reason": str(error), "architecture": architecture, "warnings": []}
    described = {"loads": True, "reason": None, **_describe(model), "warnings": _warnings(model)}
    version = document["version"]
    if (version_numbers(version) or NEWEST) > NEWEST:
        described["warnings"].append(f"version {version} is newer than 0.7.0: partial support")
    return described


def _describe(model: NamModel) -> dict[str, Any]:
    spec = model.network.spec
    rate = model.sample_rate
    result: dict[str, Any] = {
        "architecture": spec.architecture,
        "version": (model.source or {}).get("version"),
        "sample_rate": rate,
        "num_weights": spec.num_weights,
        "receptive_field": spec.receptive_field,
        "receptive_field_ms": _milliseconds(spec, rate),
        "macs_per_sample": spec.macs_per_sample,
        "metadata": finite(_shallow(model.metadata)),
    }
    if isinstance(spec, ContainerSpec):
        result["thresholds"] = [value for value, _ in spec.submodels]
        result["submodels"] = [
            {"max_value": value, **_describe(m)}
            for (value, _), m in zip(spec.submodels, model.submodels, strict=True)
        ]
    else:
        result["fast_path"] = fast_path(spec)
    if isinstance(spec, WaveNetSpec):
        result["channels"] = spec.channels
        result["layers"] = [len(array.layers) for array in spec.layer_arrays]
        result["head_scale"] = spec.head_scale
        if spec.slimmable is not None:
            widths = spec.slimmable.widths(spec.channels[0])
            result["allowed_channels"] = list(widths)
            result["thresholds"] = [(i + 1) / len(widths) for i in range(len(widths))]
    if model.condition is not None:
        result["condition_dsp"] = _describe(model.condition)
    return result


def _shallow(value: Any, depth: int = MOST_SHOWN_DEPTH) -> Any:
    """``value`` without what is nested too deep to be shown."""
    if isinstance(value, dict):
        return {key: _shallow(item, depth - 1) for key, item in value.items()} if depth else "…"
    if isinstance(value, list):
        return [_shallow(item, depth - 1) for item in value] if depth else "…"
    return value


def _milliseconds(spec: ModelSpec, rate: float | None) -> float | None:
    if spec.receptive_field is None or not rate:
        return None
    return 1000.0 * spec.receptive_field / rate


def _warnings(model: NamModel) -> list[str]:
    warnings = []
    spec = model.network.spec
    if isinstance(spec, WaveNetSpec):
        warnings += notices(spec)
        warnings += _divergences(spec)
    for i, submodel in enumerate(model.submodels):
        warnings += [f"submodel {i}: {warning}" for warning in _warnings(submodel)]
    if isinstance(spec, ContainerSpec):
        warnings += _container_warnings(model, spec)
    return warnings


def _divergences(spec: WaveNetSpec) -> list[str]:
    """What the known runtime plays otherwise than the walkthrough says, which render follows."""
    found = []
    for i, array in enumerate(spec.layer_arrays):
        if not array.layer1x1.active:
            found.append(f"layer_arrays[{i}]: without layer1x1 the C++ runtime passes the layer's input on")
        activations = [a for layer in array.layers for a in (layer.activation, layer.secondary_activation)]
        for activation in activations:
            if activation is not None and activation.type == "Hardtanh" and not _limits_at_one(activation):
                found.append(f"layer_arrays[{i}]: the C++ runtime limits Hardtanh at -1 and 1")
                break
    if isinstance(spec.condition_dsp, WaveNetSpec):
        found += [f"condition_dsp: {divergence}" for divergence in _divergences(spec.condition_dsp)]
    return found


def _limits_at_one(activation: ActivationSpec) -> bool:
    return (activation.get("min_val"), activation.get("max_val")) == (-1.0, 1.0)


def _container_warnings(model: NamModel, spec: ContainerSpec) -> list[str]:
    found = []
    own = (model.metadata or {}).get("loudness")
    best = (model.submodels[-1].metadata or {}).get("loudness")
    if own is not None and best is not None and not math.isclose(own, best, abs_tol=LOUDNESS_TOLERANCE_DB):
        found.append(
            f"the container's loudness ({own:.2f} dB) is not that of its best submodel ({best:.2f} dB): "
            "players will set the wrong level"
        )
    if own is None and best is not None:
        found.append(
            f"the container has no loudness, its best submodel has {best:.2f} dB: players will not "
            "set its level"
        )
    values = [value for value, _ in spec.submodels]
    for i, value in enumerate(values[:-1]):
        if value <= 0:
            found.append(f"submodel {i} can never play: its max_value (= {value:g}) is not above 0")
        if value >= 1:
            found.append(f"submodel {i + 1} can never play: max_value (= {value:g}) before it reaches 1")
    return found


def lines(model: Mapping[str, Any], indent: str) -> list[str]:
    """A description as people read it, a line for each fact.

    Args:
        model: as ``describe_file`` gives it.
        indent: what every line begins with.
    """
    found = [f"{indent}architecture     {model['architecture']}, file version {model['version']}"]
    rate = model["sample_rate"]
    found.append(f"{indent}sample rate      {f'{rate:g} Hz' if rate else 'unknown'}")
    if "channels" in model:
        layers = " + ".join(map(str, model["layers"]))
        found.append(f"{indent}channels         {model['channels']}, {layers} layers")
    if "allowed_channels" in model:
        found.append(f"{indent}allowed channels {model['allowed_channels']}")
    field = model["receptive_field"]
    milliseconds = model["receptive_field_ms"]
    shown = "unbounded" if field is None else f"{field} samples"
    found.append(f"{indent}receptive field  {shown}" + (f" ({milliseconds:.1f} ms)" if milliseconds else ""))
    found.append(
        f"{indent}size             {model['num_weights']} weights, {model['macs_per_sample']} MACs per sample"
    )
    if "fast_path" in model:
        found.append(f"{indent}fast A2 path     {model['fast_path'] or 'no'}")
    if "thresholds" in model:
        shown = ", ".join(f"{value:g}" for value in model["thresholds"])
        found.append(f"{indent}thresholds       {shown}")
    found += [
        f"{indent}{key.ljust(16)} {json.dumps(value)}"
        for key, value in (model["metadata"] or {}).items()
        if key != "training"
    ]
    for i, submodel in enumerate(model.get("submodels", [])):
        found.append(f"{indent}submodel {i}: plays below {submodel['max_value']:g}")
        found += lines(submodel, indent + "    ")
    if "condition_dsp" in model:
        found.append(f"{indent}condition:")
        found += lines(model["condition_dsp"], indent + "    ")
    return found
