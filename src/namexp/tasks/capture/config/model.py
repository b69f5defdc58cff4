"""The ``model`` group: which network is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from namexp.architectures.packing import Submodel, check_pack, packed_suffixes
from namexp.architectures.parsing import parse_wavenet
from namexp.architectures.slimming import check_sliceable, sliced_spec, slimmed, width_suffixes
from namexp.architectures.wavenet import WaveNetSpec
from namexp.errors import UserError
from namexp.schema.fields import Fields, as_integer, is_list, shown

INIT_STRATEGIES = ("default", "smallest_and_zeros", "channel_causal", "grown")
SIZE_SAMPLING = ("uniform", "all")
WEIGHT_INITS = ("torch", "variance")


@dataclass(frozen=True)
class ModelPlan:
    """What the ``model`` group means: one or several WaveNets and how they are trained.

    ``submodels`` holds one entry unless ``kind`` is ``packed_wavenet``.
    """

    kind: str
    submodels: tuple[Submodel, ...]
    boosting: bool = False
    init_strategy: str = "default"
    size_sampling: str = "uniform"
    weight_init: str = "torch"

    @property
    def spec(self) -> WaveNetSpec:
        """The WaveNet, or the largest of the pack."""
        return self.submodels[-1].spec

    @property
    def rows(self) -> tuple[Submodel, ...]:
        """What each row of the output plays: the submodels, or the widths of a slimmable network."""
        slimmable = self.spec.slimmable
        if slimmable is None:
            return self.submodels
        widths = slimmable.widths(self.spec.channels[0])
        return tuple(Submodel(f"channels_{w}", sliced_spec(self.spec, w)) for w in widths)

    @property
    def row_suffixes(self) -> tuple[str, ...]:
        """What a metric's name gets for each row."""
        if self.spec.slimmable is not None:
            return width_suffixes(self.spec.slimmable.widths(self.spec.channels[0]))
        return packed_suffixes(len(self.submodels)) if self.becomes_container else ("",)

    @property
    def becomes_container(self) -> bool:
        """Whether its file is a SlimmableContainer, with a threshold for each submodel."""
        return self.kind == "packed_wavenet"

    @property
    def receptive_field(self) -> int:
        """R in samples, the same for every submodel."""
        fields = {s.spec.receptive_field for s in self.submodels}
        assert len(fields) == 1, f"compatible submodels have one R, got {fields}"
        field = fields.pop()
        assert field is not None, "a trained network has a finite receptive field"
        return field


@dataclass
class WaveNetConfig:
    """``model=wavenet``: one ordinary WaveNet."""

    kind: str
    channels: Any
    layer_arrays: Any
    head: Any
    head_scale: float
    condition_dsp: Any
    weight_init: str = "torch"

    def __post_init__(self) -> None:
        """Check everything that can be known from the values alone."""
        _choice("model.weight_init", self.weight_init, WEIGHT_INITS)
        self.plan = ModelPlan(
            self.kind, (Submodel("wavenet", self._wavenet()),), weight_init=self.weight_init
        )
        if self.plan.spec.slimmable:
            raise UserError(
                "model.layer_arrays[0].slimmable is set; use model=slimmable to train by channel slicing."
            )

    def _wavenet(self) -> WaveNetSpec:
        channels = None
        if self.channels is not None:
            channels = _entry(self.channels, "model.channels")
        return parse_wavenet(_template(self), "model", channels=channels)


@dataclass
class PackedWaveNetConfig:
    """``model=packed_wavenet``: several WaveNets trained at once, independent of each other."""

    kind: str
    channels: Any
    submodels: Any
    layer_arrays: Any
    head_scale: float
    weight_init: str = "torch"

    def __post_init__(self) -> None:
        """Check every submodel and that they fit into one pack."""
        _choice("model.weight_init", self.weight_init, WEIGHT_INITS)
        if self.channels is not None and self.submodels is not None:
            raise UserError(
                f"model.channels (= {shown(self.channels)}) and model.submodels are both given; set "
                "model.channels=null to use the full list of submodels."
            )
        submodels = self._from_list() if self.submodels is not None else self._from_channels()
        check_pack(submodels)
        self.plan = ModelPlan(self.kind, tuple(submodels), weight_init=self.weight_init)

    def _from_channels(self) -> list[Submodel]:
        if not is_list(self.channels) or not self.channels:
            raise UserError(
                f"model.channels (= {shown(self.channels)}) must list the channels of each submodel "
                "from small to large, such as [3,8]."
            )
        result: list[Submodel] = []
        for i, item in enumerate(self.channels):
            entry = _entry(item, f"model.channels[{i}]")
            name = "channels_" + "_".join(map(str, entry))
            if any(name == before.name for before in result):  # the same size twice, told apart by place
                name = f"{name} ({i})"
            result.append(Submodel(name, parse_wavenet(_template(self), "model", channels=entry, mono=False)))
        return result

    def _from_list(self) -> list[Submodel]:
        if not is_list(self.submodels):
            raise UserError(
                f"model.submodels (= {shown(self.submodels)}) must be a list of {{name, config}}."
            )
        result = []
        for i, item in enumerate(self.submodels):
            fields = Fields(item, f"model.submodels[{i}]")
            name = str(fields.raw("name", f"submodel_{i}"))
            spec = parse_wavenet(fields.raw("config"), fields.where("config"), mono=False)
            fields.finish()
            result.append(Submodel(name, spec))
        return result


@dataclass
class SlimmableConfig:
    """``model=slimmable``: one WaveNet whose smaller widths are slices of it."""

    kind: str
    channels: Any
    layer_arrays: Any
    head_scale: float
    boosting: bool
    init_strategy: str
    size_sampling: str
    weight_init: str = "torch"

    def __post_init__(self) -> None:
        """Check the widths and that every feature can be sliced."""
        _choice("model.init_strategy", self.init_strategy, INIT_STRATEGIES)
        _choice("model.weight_init", self.weight_init, WEIGHT_INITS)
        _choice("model.size_sampling", self.size_sampling, SIZE_SAMPLING)
        if not is_list(self.channels) or not self.channels:
            raise UserError(
                f"model.channels (= {shown(self.channels)}) must list the allowed channels from small "
                "to large, such as [3,6,12]; the last is the full width."
            )
        allowed = tuple(as_integer(c, f"model.channels[{i}]", minimum=1) for i, c in enumerate(self.channels))
        num_arrays = len(self.layer_arrays) if is_list(self.layer_arrays) else 1
        spec = parse_wavenet(_template(self), "model", channels=[allowed[-1]] * num_arrays)
        own = spec.slimmable and spec.slimmable.allowed_channels
        if own and own != allowed:
            raise UserError(
                f"model.layer_arrays[0].slimmable (allowed_channels {list(own)}) and model.channels "
                f"(= {list(allowed)}) disagree; leave the first out."
            )
        arrays = (replace(spec.layer_arrays[0], slimmable=slimmed(spec.layer_arrays[0], allowed)),)
        spec = replace(spec, layer_arrays=arrays + spec.layer_arrays[1:])
        check_sliceable(spec, "model.")
        self.plan = ModelPlan(
            self.kind,
            (Submodel("slimmable", spec),),
            boosting=self.boosting,
            init_strategy=self.init_strategy,
            size_sampling=self.size_sampling,
            weight_init=self.weight_init,
        )


MODEL_KINDS = {
    "wavenet": WaveNetConfig,
    "packed_wavenet": PackedWaveNetConfig,
    "slimmable": SlimmableConfig,
}


def _template(config: Any) -> dict[str, Any]:
    keys = ("layer_arrays", "head", "head_scale", "condition_dsp")
    return {key: getattr(config, key) for key in keys if hasattr(config, key)}


def _entry(value: Any, place: str) -> list[int]:
    """``8`` or ``[16, 8]``: the channels of each layer array."""
    items = value if is_list(value) else [value]
    return [as_integer(c, place, minimum=1) for c in items]


def _choice(place: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise UserError(f"{place} (= {shown(value)}) must be one of {', '.join(options)}.")
