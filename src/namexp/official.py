"""The official vocoder codes' files as models: HiFi-GAN's ``g_XXXXXXXX`` and the flows' ``waveflow_<n>``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namexp.tasks.known import holds_official_flow

if TYPE_CHECKING:
    from namexp.models.hifigan import Generator
    from namexp.models.waveflow import WaveFlow


def load_official(
    path: str | os.PathLike[str], config: str | os.PathLike[str] | Mapping[str, Any] | None = None
) -> Generator | WaveFlow:
    """Open an official checkpoint.

    Args:
        path: ``waveflow_<n>`` of the NanoFlow or the WaveFlow repository, or ``g_XXXXXXXX`` of HiFi-GAN, with
            whatever their programs left in it: ``module.`` before names, ``h_cache``, fused norms.
        config: its JSON: the file, or the content; None: ``config.json`` beside it.

    Returns:
        In evaluation mode, a flow: ``model(audio, mel) -> (z, logdet)`` with audio (B, T), log mel (B, M, F),
        z (B, 1, h, T/h) and logdet summed over the batch; ``model.inverse(z, mel) -> (B, T)``;
        ``model.synthesizer()`` is a module of its own, ``synthesizer(z, mel) -> (B, T)``. Of ``g_``: the
        generator, (B, M, F) to (B, 1, F * hop).

    Raises:
        UserError: missing or damaged, or weights and configuration do not fit.
    """
    file = Path(path)
    described = config if config is None or isinstance(config, Mapping) else Path(config)
    if holds_official_flow(file, described):
        from namexp.tasks.vocoder.flows.official import read_official_flow

        return read_official_flow(file, described).learned()
    from namexp.tasks.vocoder.weights.official import read_official

    return read_official(file, described).generator
