"""A generator as ONNX, compared with torch before it gets its name. Needs ``pip install 'namexp[onnx]'``.

Letters: M mels, F frames, L samples.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from namexp.atomic import write_atomically
from namexp.errors import UserError
from namexp.tasks.vocoder.weights.voice import Voice

OPSET = 18
TRIED_FRAMES = (7, 50)
TOLERANCE = 1e-4


class _Audio(nn.Module):
    """(1, M, F) to (1, L)."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mel: Tensor) -> Tensor:
        audio: Tensor = self.generator(mel)[:, 0]
        return audio


def write_onnx(path: Path, voice: Voice) -> float:
    """Write a model ``mel`` (1, M, F) to ``audio`` (1, L) for any F; its mel parameters are in its metadata.

    Returns:
        The greatest difference from torch, over clips of several lengths.

    Raises:
        UserError: what this needs is not installed, or it plays something else than torch.
    """
    onnx, runtime = _installed()
    error = 0.0

    def write(temporary: Path) -> None:
        nonlocal error
        mel = torch.zeros(1, voice.mels.input.n_mels, TRIED_FRAMES[0])
        with _quiet():
            program = torch.onnx.export(
                _Audio(voice.generator), (mel,), dynamo=True, opset_version=OPSET, input_names=["mel"],
                output_names=["audio"], dynamic_shapes={"mel": {2: torch.export.Dim("frames", min=2)}},
                verbose=False,
            )  # fmt: skip
            assert program is not None
            model = program.model_proto
        facts: dict[str, Any] = {"sample_rate": voice.sample_rate, **voice.mels.to_plain()}
        for key, value in facts.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, str(value)
        onnx.save(model, temporary)
        error = max(_difference(runtime, temporary, voice, frames) for frames in TRIED_FRAMES)
        if not error <= TOLERANCE:
            raise UserError(
                f"{path}: differs from torch by {error:g}, more than {TOLERANCE:g}; nothing was written."
            )

    write_atomically(path, write)
    return error


def _installed() -> tuple[Any, Any]:
    names = ("onnx", "onnxruntime", "onnxscript")  # the last is what torch's exporter needs
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UserError(f"--format onnx needs {', '.join(missing)}: pip install 'namexp[onnx]'.")
    return import_module("onnx"), import_module("onnxruntime")


@contextlib.contextmanager
def _quiet() -> Any:
    """Without the exporter's talk."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _difference(runtime: Any, path: Path, voice: Voice, frames: int) -> float:
    mel = torch.randn(1, voice.mels.input.n_mels, frames, generator=torch.Generator().manual_seed(frames))
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"mel": mel.numpy()})[0]
    with torch.inference_mode():
        expected = voice.generator(mel)[:, 0]
    if tuple(found.shape) != tuple(expected.shape):
        raise UserError(f"ONNX gives {found.shape} for {frames} frames and torch {tuple(expected.shape)}.")
    return float((torch.from_numpy(found) - expected).abs().max())
