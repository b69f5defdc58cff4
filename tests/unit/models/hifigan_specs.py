"""Generators by name, for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namexp.architectures.hifigan import GeneratorSpec


def spec_of(config: Mapping[str, Any], n_mels: int = 80) -> GeneratorSpec:
    """Of a configuration with the official names."""
    return GeneratorSpec(
        n_mels=n_mels,
        upsample_rates=tuple(config["upsample_rates"]),
        upsample_kernel_sizes=tuple(config["upsample_kernel_sizes"]),
        upsample_initial_channel=config["upsample_initial_channel"],
        resblock=config["resblock"],
        resblock_kernel_sizes=tuple(config["resblock_kernel_sizes"]),
        resblock_dilation_sizes=tuple(map(tuple, config["resblock_dilation_sizes"])),
    )


V1 = GeneratorSpec(80, (8, 8, 2, 2), (16, 16, 4, 4), 512, "1", (3, 7, 11), ((1, 3, 5),) * 3)
V2 = GeneratorSpec(80, (8, 8, 2, 2), (16, 16, 4, 4), 128, "1", (3, 7, 11), ((1, 3, 5),) * 3)
V3 = GeneratorSpec(80, (8, 8, 4), (16, 16, 8), 256, "2", (3, 5, 7), ((1, 2), (2, 6), (3, 12)))
TINY = GeneratorSpec(80, (8, 8, 4), (16, 16, 8), 32, "2", (3, 5, 7), ((1, 2), (2, 6), (3, 12)))
SMALL_V1 = GeneratorSpec(6, (4, 2), (8, 4), 8, "1", (3, 5), ((1, 3), (1, 2)))
SMALL_V2 = GeneratorSpec(6, (4, 2), (8, 4), 8, "2", (3, 5), ((1, 3), (1, 2)))
