"""The group ``model``: HiFi-GAN's sizes, and the mel spectrogram that it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.architectures.hifigan import GeneratorSpec, check_generator
from namexp.errors import UserError
from namexp.schema.fields import Fields, as_integer, shown
from namexp.tasks.vocoder.config.mel import Mels, parse_mels

INITS = ("default", "normal")


@dataclass
class HifiganModel:
    """``model.kind=hifigan``: a generator and its discriminators."""

    kind: str
    sample_rate: int
    mel: dict[str, Any]
    upsample_rates: Any
    upsample_kernel_sizes: Any
    upsample_initial_channel: int
    resblock: str
    resblock_kernel_sizes: Any
    resblock_dilation_sizes: Any
    discriminator_width: int
    init: str

    def __post_init__(self) -> None:
        """Every number, and that they fit each other."""
        as_integer(self.sample_rate, "model.sample_rate", minimum=1)
        as_integer(self.discriminator_width, "model.discriminator_width", minimum=1)
        if self.init not in INITS:
            raise UserError(f"model.init (= {shown(self.init)}) must be one of {', '.join(INITS)}.")
        self.mels: Mels = parse_mels(self.mel, self.sample_rate, "model.mel")
        names = (
            "upsample_rates", "upsample_kernel_sizes", "upsample_initial_channel", "resblock",
            "resblock_kernel_sizes", "resblock_dilation_sizes",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        self.generator: GeneratorSpec = parse_generator(values, self.mels, "model")


def parse_generator(values: Any, mels: Mels, place: str) -> GeneratorSpec:
    """A generator given as plain values by the official names.

    Raises:
        UserError: the first value that is missing, of the wrong type or out of range, or does not fit the
            others.
    """
    fields = Fields(values, place)
    dilations = [
        tuple(_integers(item, f"{fields.where('resblock_dilation_sizes')}[{i}]"))
        for i, item in enumerate(fields.items("resblock_dilation_sizes"))
    ]
    spec = GeneratorSpec(
        n_mels=mels.input.n_mels,
        upsample_rates=tuple(fields.integers("upsample_rates", minimum=1)),
        upsample_kernel_sizes=tuple(fields.integers("upsample_kernel_sizes", minimum=1)),
        upsample_initial_channel=fields.integer("upsample_initial_channel", minimum=1),
        resblock="1" if fields.choice("resblock", ("1", "2")) == "1" else "2",
        resblock_kernel_sizes=tuple(fields.integers("resblock_kernel_sizes", minimum=1)),
        resblock_dilation_sizes=tuple(dilations),
    )
    fields.finish()
    check_generator(spec, place)
    if spec.hop_length != mels.input.hop_length:
        product = " x ".join(map(str, spec.upsample_rates))
        raise UserError(
            f"{place}.upsample_rates (= {list(spec.upsample_rates)}): a frame becomes {product} = "
            f"{spec.hop_length} samples, and the mel spectrogram's hop_length is {mels.input.hop_length}; "
            "make "
            "them equal."
        )
    return spec


def _integers(item: Any, place: str) -> list[int]:
    return Fields({"values": item}, place).integers("values", minimum=1)
