"""``model.safetensors``: tensors, and all about them as JSON in the header. Loading runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from namexp.atomic import scratch, write_atomically
from namexp.errors import UserError, one_line
from namexp.reading.archive import LIMIT
from namexp.reading.json_text import parsed
from namexp.reading.regular import check_regular
from namexp.schema.fields import Fields

FORMAT = 1
KEY = "namexp"


def write_stored(path: Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write whole or not at all.

    Args:
        path: of the file.
        kind: of the model, by which a task finds its own.
        about: the rest of the header: plain values.
        tensors: by name, wherever they lie.
    """
    header = {KEY: json.dumps({"format": FORMAT, "kind": kind, **about}, allow_nan=False), "format": "pt"}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(path, lambda temporary: save_file(plain, temporary, metadata=header))


def save_verified(
    path: Path,
    network: nn.Module,
    source: object,
    write: Callable[[Path], None],
    difference: Callable[[Path], float],
    *,
    tolerance: float,
) -> None:
    """Give a written model its name when it has been read back and is what ``network`` is.

    Args:
        path: of the file; what lies there stays where the new one is no good.
        network: that is written.
        source: where it comes from, for the message.
        write: writes it to a path.
        difference: between what the file at a path and ``network`` say to a probe.
        tolerance: of that.

    Raises:
        UserError: weights that are not finite, or the file says something else.
    """
    refuse_diverged(network, source)
    with scratch(path) as folder:
        file = folder / path.name
        write(file)
        error = difference(file)
        if not error <= tolerance:
            raise UserError(
                f"{path}: what was written is something else than the network (by {error:g}); it is not kept."
            )
        file.replace(path)


def read_stored(path: Path, kinds: Collection[str]) -> tuple[str, Fields, dict[str, Tensor]]:
    """The kind, the rest of the header and the tensors.

    Raises:
        UserError: missing, damaged, of another program, or of none of the ``kinds``.
    """
    about = _header(path)
    if not isinstance(about, Mapping):
        raise UserError(f"{path}: was not written by namexp (its header does not say what the model is).")
    fields = Fields(about, f"{path}: {KEY}")
    if fields.integer("format") != FORMAT:
        raise UserError(f"{path}: has the format {about['format']}, and this namexp reads {FORMAT}.")
    kind = fields.choice("kind", kinds)
    try:
        return kind, fields, load_file(path)
    except Exception as error:  # a stranger's tensors may be of any size and type
        raise _unreadable(path, error) from None


def kind_of(path: Path) -> str:
    """Of a file; nothing where it does not say: whoever opens it tells what is wrong."""
    try:
        about = _header(path)
    except UserError:
        return ""
    return str(about.get("kind")) if isinstance(about, Mapping) else ""


def _header(path: Path) -> Any:
    check_regular(path, LIMIT)
    try:
        with safe_open(path, framework="pt") as file:
            return parsed((file.metadata() or {}).get(KEY, "null"))
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not a safetensors file that can be read ({one_line(error)[:200]}).")


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 of weights, whatever file they come from."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def refuse_diverged(network: nn.Module, source: object) -> None:
    """Weights that are not finite are good for nothing.

    Raises:
        UserError: they are not.
    """
    if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
        raise UserError(
            f"{source}: the training has diverged: its weights are not finite; lower optimizer.lr and train "
            "again."
        )
