"""The mel spectrograms of a vocoder: one goes in, another one judges what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from namexp.audio.mel_scale import MelSpec
from namexp.errors import UserError
from namexp.schema.fields import Fields


@dataclass(frozen=True)
class Mels:
    """Both mel spectrograms.

    Attributes:
        input: what the generator turns into audio.
        loss: what original and generated audio are compared by, up to half of the sample rate.
    """

    input: MelSpec
    loss: MelSpec

    def to_plain(self) -> dict[str, Any]:
        """As plain values, as ``parse_mels`` reads them; the sample rate stands beside them."""
        plain = self.input._asdict()
        del plain["sample_rate"]
        if not plain["centered"]:
            del plain["centered"]  # files from before there was a choice do not say so either
        return {**plain, "fmax_loss": self.loss.fmax}


def parse_mels(values: Any, sample_rate: int, place: str) -> Mels:
    """The mapping at ``place`` as mel spectrograms.

    Raises:
        UserError: the first value that is missing, of the wrong type or out of range.
    """
    fields = Fields(values, place)
    input = MelSpec(
        sample_rate=sample_rate,
        n_fft=fields.integer("n_fft", minimum=4),
        hop_length=fields.integer("hop_length", minimum=1),
        win_length=fields.integer("win_length", minimum=2),
        n_mels=fields.integer("n_mels", minimum=1),
        fmin=fields.number("fmin"),
        fmax=_limit(fields, "fmax"),
        centered=fields.boolean("centered", False),
    )
    fmax_loss = _limit(fields, "fmax_loss")
    fields.finish()
    mels = Mels(input, input._replace(fmax=fmax_loss))
    _check(mels, place)
    return mels


def _limit(fields: Fields, key: str) -> float | None:
    return fields.number(key) if fields.has(key) else None


def _check(mels: Mels, place: str) -> None:
    spec = mels.input
    if spec.n_fft < spec.hop_length or ((spec.n_fft - spec.hop_length) % 2 and not spec.centered):
        raise UserError(
            f"{place}.n_fft (= {spec.n_fft}) must be at least {place}.hop_length (= {spec.hop_length}) and "
            f"differ from it by an even number, such as {4 * spec.hop_length}."
        )
    if spec.win_length > spec.n_fft:
        raise UserError(f"{place}.win_length (= {spec.win_length}) must be at most n_fft (= {spec.n_fft}).")
    nyquist = spec.sample_rate / 2
    for name, one in (("fmax", mels.input), ("fmax_loss", mels.loss)):
        if not 0 <= one.fmin < one.top <= nyquist:
            raise UserError(
                f"{place}.{name} (= {one.fmax}): filters go from fmin (= {one.fmin:g}) up to it, and both "
                "must "
                f"lie between 0 and half of the sample rate (= {nyquist:g} Hz); null means that half."
            )


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """In words, what two mel spectrograms given as plain values differ in."""
    keys = dict.fromkeys((*expected, *found))
    return [f"{k} {found.get(k)} for {expected.get(k)}" for k in keys if found.get(k) != expected.get(k)]
