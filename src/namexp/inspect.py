"""``python -m namexp.inspect MODEL.nam [--json]``: what is in a file, and whether it will load."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from namexp.door import FAILED, OK, guarded


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.inspect",
        description="Tell what is in a .nam file and whether the C++ runtime loads it (exit 0) or not "
        "(exit 1, with the reason).",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.nam")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


def _inspect(arguments: argparse.Namespace) -> int:
    from namexp.nam.describe import describe_file

    described = describe_file(arguments.model)
    if arguments.json:
        print(json.dumps(described, indent=2))
    elif described["loads"]:
        print("\n".join([f"{arguments.model}: the C++ runtime loads it", *_lines(described, "  ")]))
    for warning in described["warnings"] if not arguments.json else []:
        print(f"warning: {warning}")
    if not described["loads"]:
        print(f"namexp.inspect: does not load: {described['reason']}", file=sys.stderr)
        return FAILED
    return OK


def _lines(model: dict[str, Any], indent: str) -> list[str]:
    lines = [f"{indent}architecture     {model['architecture']}, file version {model['version']}"]
    rate = model["sample_rate"]
    lines.append(f"{indent}sample rate      {f'{rate:g} Hz' if rate else 'unknown'}")
    if "channels" in model:
        layers = " + ".join(map(str, model["layers"]))
        lines.append(f"{indent}channels         {model['channels']}, {layers} layers")
    if "allowed_channels" in model:
        lines.append(f"{indent}allowed channels {model['allowed_channels']}")
    field = model["receptive_field"]
    milliseconds = model["receptive_field_ms"]
    shown = "unbounded" if field is None else f"{field} samples"
    lines.append(f"{indent}receptive field  {shown}" + (f" ({milliseconds:.1f} ms)" if milliseconds else ""))
    lines.append(
        f"{indent}size             {model['num_weights']} weights, {model['macs_per_sample']} MACs per sample"
    )
    if "fast_path" in model:
        lines.append(f"{indent}fast A2 path     {model['fast_path'] or 'no'}")
    if "thresholds" in model:
        shown = ", ".join(f"{value:g}" for value in model["thresholds"])
        lines.append(f"{indent}thresholds       {shown}")
    lines += [
        f"{indent}{key.ljust(16)} {json.dumps(value)}"
        for key, value in (model["metadata"] or {}).items()
        if key != "training"
    ]
    for i, submodel in enumerate(model.get("submodels", [])):
        lines.append(f"{indent}submodel {i}: plays below {submodel['max_value']:g}")
        lines += _lines(submodel, indent + "    ")
    if "condition_dsp" in model:
        lines.append(f"{indent}condition:")
        lines += _lines(model["condition_dsp"], indent + "    ")
    return lines


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.inspect", lambda: _inspect(arguments))


if __name__ == "__main__":
    sys.exit(main())
