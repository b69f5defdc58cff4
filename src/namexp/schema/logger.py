"""The group ``logger``: who is told of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import as_integer, is_number, shown

MAX_AUDIO_SECONDS = 30.0
LOGGER_KINDS = ("csv", "wandb", "tensorboard", "none")


@dataclass
class LoggerConfig:
    """Where metrics, audio and pictures go besides metrics.csv, which is always written."""

    kind: str
    project: str
    mode: str
    name: Any
    group: Any
    tags: Any
    entity: Any = None
    audio_every_n_validations: Any = 5
    audio_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Names and ranges."""
        if self.kind not in LOGGER_KINDS:
            raise UserError(f"logger.kind (= {shown(self.kind)}) must be one of {', '.join(LOGGER_KINDS)}.")
        if self.mode not in ("offline", "online", "disabled"):
            raise UserError(
                f"logger.mode (= {shown(self.mode)}) must be offline, online or disabled; it follows "
                "the environment variable WANDB_MODE."
            )
        if self.audio_every_n_validations is not None:
            self.audio_every_n_validations = as_integer(
                self.audio_every_n_validations, "logger.audio_every_n_validations", minimum=1
            )
        if not is_number(self.audio_seconds) or not 0 < self.audio_seconds <= MAX_AUDIO_SECONDS:
            raise UserError(
                f"logger.audio_seconds (= {shown(self.audio_seconds)}) must be above 0 and at most "
                f"{MAX_AUDIO_SECONDS:g}: every submodel's excerpt is kept many times."
            )
        self.tags = [] if self.tags is None else self.tags
        if not isinstance(self.tags, list) or not all(0 < len(str(tag)) <= 64 for tag in self.tags):
            raise UserError(
                f"logger.tags (= {shown(self.tags)}) must be a list of names up to 64 letters long."
            )
