"""The config of a flow that synthesises: WaveFlow, NanoFlow and its ablations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from namexp.architectures.waveflow import HOP_LENGTH, FlowSpec, Kind, check_flow
from namexp.errors import UserError
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.fields import Fields, as_integer, is_number, shown
from namexp.schema.metric import Metric
from namexp.tasks.vocoder.config.data import NEUTRAL, SpeechData
from namexp.tasks.vocoder.config.mel import Mels, parse_mels

# What the architecture calls them.
KINDS: Mapping[str, Kind] = {
    "waveflow": "waveflow",
    "nanoflow": "nanoflow",
    "nanoflow_decomp": "decomp",
    "nanoflow_naive": "naive",
}
PERMUTATIONS = ("reverse", "bipartized")
COUPLINGS = ("all_rows", "keep_first")
NUMBERS = ("n_height", "n_flow", "n_layer", "n_layer_per_cycle", "res_channels")
SPEC = (
    *NUMBERS, "dilations_h", "size_flow_embed", "use_weightnorm_embed", "permutation", "coupling",
)  # fmt: skip


@dataclass
class FlowModel:
    """``model.kind`` of ``KINDS``: flows over audio that is folded into rows."""

    kind: str
    sample_rate: int
    mel: dict[str, Any]
    n_height: int
    n_flow: int
    n_layer: int
    n_layer_per_cycle: int
    dilations_h: Any
    res_channels: int
    size_flow_embed: Any
    use_weightnorm_embed: bool
    permutation: str
    coupling: str

    def __post_init__(self) -> None:
        """Every number, and that they fit each other."""
        as_integer(self.sample_rate, "model.sample_rate", minimum=1)
        self.mels: Mels = parse_mels(self.mel, self.sample_rate, "model.mel")
        values = {name: getattr(self, name) for name in SPEC}
        self.flow: FlowSpec = parse_flow(values, KINDS[self.kind], self.mels, "model")


def parse_flow(values: Any, kind: Kind, mels: Mels, place: str) -> FlowSpec:
    """A flow given as plain values.

    Raises:
        UserError: the first value that is missing, of the wrong type or out of range, or does not fit.
    """
    fields = Fields(values, place)
    dilations = fields.integers("dilations_h", minimum=1) if fields.has("dilations_h") else None
    permutation: Literal["reverse", "bipartized"] = (
        "reverse" if fields.choice("permutation", PERMUTATIONS) == "reverse" else "bipartized"
    )
    coupling: Literal["all_rows", "keep_first"] = (
        "all_rows" if fields.choice("coupling", COUPLINGS) == "all_rows" else "keep_first"
    )
    numbers = {name: fields.integer(name, minimum=1) for name in NUMBERS}
    embedding = fields.integer("size_flow_embed", minimum=1) if fields.has("size_flow_embed") else None
    spec = FlowSpec(
        kind=kind,
        n_mels=mels.input.n_mels,
        **numbers,
        dilations_h=None if dilations is None else tuple(dilations),
        size_flow_embed=embedding,
        use_weightnorm_embed=fields.boolean("use_weightnorm_embed"),
        permutation=permutation,
        coupling=coupling,
    )
    fields.finish()
    check_flow(spec, place)
    if mels.input.hop_length != HOP_LENGTH:
        raise UserError(
            f"{place}.mel.hop_length (= {mels.input.hop_length}) must be {HOP_LENGTH}: the conditioner is "
            "upsampled by that."
        )
    return spec


def plain_flow(spec: FlowSpec) -> dict[str, Any]:
    """As plain values, as ``parse_flow`` reads them."""
    plain = {name: getattr(spec, name) for name in SPEC}
    plain["dilations_h"] = None if spec.dilations_h is None else list(spec.dilations_h)
    return plain


@dataclass
class FlowLoss:
    """Negative log-likelihood.

    ``sigma``: of the noise that the model is to make of audio. ``reference_ll``: what ``val/ll_gain`` counts
    from; null: nothing.
    """

    sigma: float
    reference_ll: Any

    def __post_init__(self) -> None:
        """Ranges."""
        if not is_number(self.sigma) or self.sigma <= 0:
            raise UserError(f"loss.sigma (= {shown(self.sigma)}) must be above 0.")
        if self.reference_ll is not None and not is_number(self.reference_ll):
            raise UserError(f"loss.reference_ll (= {shown(self.reference_ll)}) must be a number or null.")


@dataclass(kw_only=True)
class FlowConfig(ExperimentConfig):
    """One training of a flow that synthesises."""

    data: SpeechData
    loss: FlowLoss

    learns = "flows"
    models: ClassVar[Mapping[str, type[Any]]] = dict.fromkeys(KINDS, FlowModel)
    metrics = (Metric("ll", better="higher", meaning="Log-likelihood, nats a sample"),)
    files = ("data.dir", "data.test_dir")
    neutral = (*NEUTRAL, "loss.reference_ll")
    abilities = frozenset({"init_average", "init_partial", "trainer.recompute"})
    options: ClassVar[Mapping[str, str]] = {
        "data": "speech, ljspeech, ljspeech_report or ljspeech_nanoflow",
        "loss": "flow",
    }

    def __post_init__(self) -> None:
        """Agreement between groups."""
        super().__post_init__()
        h, segment = self.model.n_height, self.data.segment_size
        if segment % h:
            below = segment // h * h
            raise UserError(
                f"data.segment_size (= {segment}) must be a multiple of model.n_height (= {h}), such as "
                f"{below or h} or {below + h}."
            )
        if segment < self.model.mels.input.least_samples:
            raise UserError(
                f"data.segment_size (= {segment}) must be at least {self.model.mels.input.least_samples} "
                "samples, "
                "from which a mel spectrogram can be taken."
            )
        if self.data.mels is not None:
            raise UserError(
                f"data.mels (= {self.data.mels}): a flow learns from the mels of its clips; leave it out."
            )
        self.trainer.check_shares(self.data.batch_size)
