"""A ``.nam`` file in memory: the network and what the file says about it; reading and writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from namexp.architectures.limits import MOST_MODELS, MOST_NESTED, check_size, within
from namexp.architectures.played import ConvNetSpec, LinearSpec, LstmSpec
from namexp.architectures.wavenet import WaveNetSpec
from namexp.errors import UserError, one_line
from namexp.models.container import Container
from namexp.models.conv_net import ConvNet
from namexp.models.linear import Linear
from namexp.models.lstm import Lstm
from namexp.models.network import Network
from namexp.models.wavenet import SlimmableWaveNet, WaveNet
from namexp.nam.document import (
    VERSION,
    check_root,
    check_weights,
    load_document,
    metadata_of,
    sample_rate_of,
    save_document,
)
from namexp.nam.layout import read_other, read_wavenet, write_config
from namexp.reading.damage import KINDS
from namexp.schema.fields import Fields, is_list, is_number, shown


@dataclass
class NamModel:
    """One model of a file, with the models inside it.

    Attributes:
        network: what plays.
        metadata: as in the file; None where the key is missing.
        sample_rate: Hz; None where unknown.
        submodels: the models of a container, in the order of ``network``.
        condition: the model behind a WaveNet's ``condition_dsp``.
        source: the document as it was read, whose spelling is kept where it still says the same:
            a file of an older version is not turned into another by reading and writing it.
        source_spec: the network's description when it was read; ``source`` says it.
    """

    network: Network
    metadata: dict[str, Any] | None = None
    sample_rate: float | None = None
    submodels: list[NamModel] = field(default_factory=list)
    condition: NamModel | None = None
    source: Mapping[str, Any] | None = None
    source_spec: Any = None

    @property
    def architecture(self) -> str:
        """The name that a file gives it."""
        return self.network.spec.architecture


# --- reading ------------------------------------------------------------------------------------


def read_nam(path: Path | str) -> NamModel:
    """Read a file of version 0.5.0 to 0.7.x.

    Raises:
        UserError: what the C++ runtime would refuse, with the reason.
    """
    path = Path(path)
    document = load_document(path)
    try:
        return model_from_document(document)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def model_from_document(document: Any, place: str = "") -> NamModel:
    """The model that a document (or one inside another, at ``place``) holds."""
    try:
        return _build(document, place, _Inside([0], 0), mono=True)
    except UserError:
        raise
    except KINDS as error:  # numbers that pass one by one, and that torch cannot make a network of
        raise UserError(
            f"no network can be made of it: {type(error).__name__}: {one_line(error)[:160]}"
        ) from error


class _Inside(NamedTuple):
    """Where in a file a model is read.

    Attributes:
        begun: the one number of models that were begun so far.
        level: how many models it lies in.
    """

    begun: list[int]
    level: int


def _build(document: Any, place: str, inside: _Inside, *, mono: bool) -> NamModel:
    inside.begun[0] += 1
    within(inside.begun[0], MOST_MODELS, "the file", "models")
    within(inside.level, MOST_NESTED, "the depth of models in models")
    below = _Inside(inside.begun, inside.level + 1)
    check_root(document, place)
    prefix = f"{place}." if place else ""
    architecture = document["architecture"]
    if architecture == "SlimmableContainer":
        model = _read_container(document, prefix, below)
    elif architecture == "WaveNet":
        model = _read_wavenet(document, prefix, below, mono)
    else:
        model = _read_other(document, prefix)
    model.metadata = metadata_of(document)
    model.sample_rate = document.get("sample_rate")
    model.source, model.source_spec = document, model.network.spec
    model.network.eval()
    return model


def _weights(document: Any, prefix: str, needed: int) -> Tensor:
    weights = check_weights(document["weights"], prefix)
    if len(weights) != needed:
        raise UserError(f"{prefix}weights has {len(weights)} numbers and the config needs {needed}.")
    return torch.from_numpy(np.asarray(weights, dtype=np.float64).astype(np.float32))


def _read_wavenet(document: Any, prefix: str, below: _Inside, mono: bool) -> NamModel:
    config = document["config"]
    condition = None
    if isinstance(config, Mapping) and config.get("condition_dsp") is not None:
        condition = _build(config["condition_dsp"], f"{prefix}config.condition_dsp", below, mono=False)
        inner, outer = (sample_rate_of(d) for d in (config["condition_dsp"], document))
        if inner != outer:
            raise UserError(
                f"{prefix}config.condition_dsp.sample_rate (= {inner}) must equal the model's (= {outer})."
            )
    spec = read_wavenet(
        config,
        f"{prefix}config",
        condition=condition.network.spec if condition else None,
        mono=mono,
    )
    weights = _weights(document, prefix, spec.num_weights)
    wavenet = WaveNet(spec, condition=condition.network if condition else None)
    wavenet.import_weights(weights)
    return NamModel(_sliceable(wavenet, prefix), condition=condition)


def _sliceable(wavenet: WaveNet, prefix: str) -> Network:
    """The slimmable network around ``wavenet`` if its file says so."""
    spec = wavenet.spec
    if spec.slimmable is None:
        return wavenet
    try:
        slimmable = SlimmableWaveNet(spec)
    except UserError as error:
        raise UserError(f"{prefix}config: namexp cannot slice it: {error}") from None
    slimmable.wavenet = wavenet
    return slimmable


def _read_other(document: Any, prefix: str) -> NamModel:
    spec = read_other(document["architecture"], document["config"], f"{prefix}config")
    check_size(spec, f"{prefix}config.")
    weights = _weights(document, prefix, spec.num_weights)
    network: Lstm | Linear | ConvNet
    if isinstance(spec, LstmSpec):
        network = Lstm(spec)
        network.import_weights(weights)
        return NamModel(network)
    network = Linear(spec) if isinstance(spec, LinearSpec) else ConvNet(spec)
    with torch.no_grad():
        start = 0
        for tensor in network.file_tensors():
            tensor.copy_(weights[start : start + tensor.numel()].reshape(tensor.shape))
            start += tensor.numel()
    return NamModel(network)


def _read_container(document: Any, prefix: str, below: _Inside) -> NamModel:
    check_weights(document["weights"], prefix)  # which nothing plays, and the runtime reads nevertheless
    fields = Fields(document["config"], f"{prefix}config")
    items = fields.raw("submodels")
    where = fields.where("submodels")
    if not is_list(items) or not items:
        raise UserError(f"{where} (= {shown(items)}) must be a list with at least one submodel.")
    within(len(items), MOST_MODELS, where, "models")
    submodels: list[NamModel] = []
    max_values: list[float] = []
    for i, item in enumerate(items):
        entry = Fields(item, f"{where}[{i}]")
        max_value = entry.raw("max_value")
        if not is_number(max_value):
            raise UserError(f"{entry.where('max_value')} (= {shown(max_value)}) must be a number.")
        if max_values and max_value <= max_values[-1]:
            raise UserError(
                f"{entry.where('max_value')} (= {max_value}) must be above the one before it "
                f"(= {max_values[-1]})."
            )
        max_values.append(max_value)
        submodels.append(_build(entry.raw("model"), entry.where("model"), below, mono=True))
    if max_values[-1] < 1.0:
        raise UserError(f"{where}[-1].max_value (= {max_values[-1]}) must be at least 1.0.")
    rate = sample_rate_of(document)
    for i, submodel in enumerate(submodels):
        inner = sample_rate_of(submodel.source or {})
        if rate is not None and inner is not None and inner != rate:
            raise UserError(
                f"{where}[{i}].model.sample_rate (= {inner}) must equal the container's (= {rate})."
            )
    pairs = [(v, m.network) for v, m in zip(max_values, submodels, strict=True)]
    return NamModel(Container(pairs), submodels=submodels)


# --- writing ------------------------------------------------------------------------------------


def write_nam(model: NamModel, path: Path | str) -> None:
    """Write the file, whole or not at all.

    Raises:
        UserError: a weight or a number of the metadata is NaN or infinite.
    """
    try:
        save_document(to_document(model), Path(path))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not written, it would hold NaN, Infinity or text that is none.") from None


def to_document(model: NamModel) -> dict[str, Any]:
    """The file's content: version 0.7.0, or the spelling that it was read in."""
    config, respelled = _config(model)
    source = model.source or {}
    document: dict[str, Any] = {
        key: value
        for key, value in source.items()
        if key not in ("version", "architecture", "config", "weights", "metadata", "sample_rate")
    }
    document["version"] = source["version"] if source and not respelled else VERSION
    if model.metadata is not None:
        document["metadata"] = model.metadata
    document["architecture"] = model.architecture
    document["config"] = config
    document["weights"] = _file_weights(model)
    if model.sample_rate is not None:
        document["sample_rate"] = model.sample_rate
    return document


def _config(model: NamModel) -> tuple[dict[str, Any], bool]:
    """(config, whether it is spelt anew)."""
    spec = model.network.spec
    source = model.source["config"] if model.source else None
    if isinstance(model.network, Container):
        base = dict(source) if source else {}
        base["submodels"] = [
            {"max_value": v, "model": to_document(m)}
            for v, m in zip(model.network.max_values, model.submodels, strict=True)
        ]
        return base, source is None
    assert isinstance(spec, WaveNetSpec | LinearSpec | LstmSpec | ConvNetSpec)
    condition = {"condition_dsp": to_document(model.condition)} if model.condition else {}
    if source is not None and spec == model.source_spec:
        return {**source, **condition}, False
    return {**write_config(spec), **condition}, True


def _file_weights(model: NamModel) -> list[float]:
    network = model.network
    if isinstance(network, Container):
        return list(model.source["weights"]) if model.source else []
    if isinstance(network, SlimmableWaveNet):
        network = network.wavenet
    if isinstance(network, WaveNet | Lstm):
        flat = network.export_weights()
    else:
        assert isinstance(network, Linear | ConvNet)
        flat = torch.cat([t.detach().reshape(-1) for t in network.file_tensors()])
    weights = flat.to("cpu", torch.float32).numpy()
    if not np.isfinite(weights).all():
        raise UserError("the network has weights that are NaN or infinite; nothing was written.")
    values = weights.astype(np.float64)
    if model.source is not None:  # keep the digits of a weight that has not changed
        read = np.asarray(model.source["weights"], dtype=np.float64)
        values = np.where(read.astype(np.float32) == weights, read, values)
    return values.tolist()
