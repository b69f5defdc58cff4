"""Whatever holds a flow: a run, a checkpoint, ``model.safetensors``, an official file; or several' mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from namexp.engine.checkpoint import load_checkpoint
from namexp.engine.stored import digest_of, refuse_diverged
from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow, averaged, load_weights
from namexp.models.waveflow.states import state_of
from namexp.reading.damage import content_of
from namexp.schema.group import parse_group
from namexp.schema.initial import Averaging, Initial
from namexp.tasks.vocoder.config.flow import KINDS, FlowModel, plain_flow
from namexp.tasks.vocoder.config.mel import differences
from namexp.tasks.vocoder.flows.official import (
    CHECKPOINT,
    found_official,
    official_checkpoints,
    read_official_flow,
)
from namexp.tasks.vocoder.flows.voice import FlowVoice, Found, read_flow
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.weights.official import loaded

NETWORK = "network."


def load_flow(path: Path, config: Path | None = None, averaging: Averaging | None = None) -> FlowVoice:
    """Open a run (its ``model.safetensors``, else its best checkpoint, else its last), or one of these.

    Args:
        path: of a run, a checkpoint, a ``model.safetensors``, an official ``waveflow_<n>``, or a directory
            with such.
        config: of an official file; None: ``config.json`` beside it.
        averaging: the mean of the newest ``checkpoints/step_<n>.ckpt`` of the run, or ``waveflow_<n>`` of the
            directory, instead.

    Raises:
        UserError: it is none of them, damaged, diverged, or fewer than are to be averaged.
    """
    if averaging is not None:
        voice = averaged_flow(path, averaging, config).voice()
    elif _file(path).suffix == ".safetensors":
        voice = read_flow(_file(path))
    else:
        voice = found_flow(_file(path), config).voice()
    refuse_diverged(voice.network, voice.source)
    return voice


def _file(path: Path) -> Path:
    """Of a directory, what counts."""
    if not path.is_dir():
        if not path.is_file():
            raise UserError(
                f"{path}: no such file; give a run directory, a checkpoint, a model.safetensors or an "
                "official waveflow_ file."
            )
        return path
    run = VocoderLayout(path)
    found = run.model if run.model.exists() else run.best_or_last()
    if found is None:
        found = next(reversed(official_checkpoints(path)), None)
    if found is None:
        raise UserError(
            f"{path}: holds no model.safetensors, no checkpoints/best.ckpt and no waveflow_ file."
        )
    return found


def found_flow(path: Path, config: Path | None = None) -> Found:
    """The flow in one file.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if path.suffix == ".safetensors":
        return Found.of(read_flow(path))
    return flow_of_checkpoint(path) if path.suffix == ".ckpt" else read_official_flow(path, config)


def flow_of_checkpoint(path: Path) -> Found:
    """The flow in one of our checkpoints, as learned.

    Raises:
        UserError: it is none, or damaged, or no flow's.
    """
    content = load_checkpoint(path)
    about = content["namexp"]
    values = about.get("model")
    kind = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"{path}: holds a model of kind {kind}, which is no flow that synthesises.")
    with content_of(path):
        model = parse_group("model", values, FlowModel)
        told = {key: about[key] for key in ("training_id", "seed") if key in about}
        told["updates"] = content.get("updates")
        return Found(path, kind, model.flow, model.mels, _network_state(content), told)


def _network_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    state = content["state_dict"]
    return {name.removeprefix(NETWORK): value for name, value in state.items() if name.startswith(NETWORK)}


# --- the mean of many -------------------------------------------------------------------------------


def averaged_flow(path: Path, averaging: Averaging, config: Path | None = None) -> Found:
    """The mean of the newest checkpoints of a run, or of a directory of official ones.

    Raises:
        UserError: no directory, fewer than are asked for, or of different models.
    """
    if not path.is_dir():
        raise UserError(f"{path}: is no directory; what is averaged are the newest checkpoints of one.")
    ours, theirs = VocoderLayout(path).step_checkpoints(), official_checkpoints(path)
    there = ours or theirs
    if len(there) < averaging.number:
        raise UserError(
            f"{path}: holds {len(there)} checkpoints/step_<n>.ckpt or waveflow_<n>, and "
            f"{averaging.number} are to be averaged; a training keeps them by "
            "callbacks.checkpoint_every_n_steps=N."
        )
    newest_first = there[: -averaging.number - 1 : -1]
    newest = _newest(newest_first[0], config, official=not ours)
    state = averaged(
        _states(newest_first, newest),
        epsilon=averaging.epsilon,
        normalize=averaging.normalize,
        count=averaging.number,
    )
    told: dict[str, Any] = {"averaged": averaging.number}
    if averaging.epsilon is not None:
        told |= {"epsilon": averaging.epsilon, "normalized": averaging.normalize}
    return newest._replace(source=path, state=state, about={**newest.about, **told})


def _newest(path: Path, config: Path | None, *, official: bool) -> Found:
    return read_official_flow(path, config) if official else flow_of_checkpoint(path)


def _states(paths: list[Path], newest: Found) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    yield str(paths[0]), newest.state
    for path in paths[1:]:
        if path.suffix != ".ckpt":
            yield str(path), state_of(loaded(path), str(path))
            continue
        other = flow_of_checkpoint(path)
        if other.spec != newest.spec or other.kind != newest.kind:
            raise UserError(f"{path} and {paths[0]} are of different models; averages are of one training.")
        yield str(path), other.state


# --- where a training starts from -------------------------------------------------------------------


def start_from(initial: Initial, network: WaveFlow) -> tuple[str, tuple[str, ...]]:
    """Put first weights into the network.

    Returns:
        Their sha256, and what was not taken, a line each.

    Raises:
        UserError: unreadable, or they do not fit: names, both shapes, or settings that shapes do not show.
    """
    path = Path(initial.path)
    state, source, spec = _initial_state(path, initial.averaging)
    left = load_weights(network, {"model": state}, source=f"init_from (= {source})", partial=initial.partial)
    if spec is not None and spec != network.spec:
        different = differences(plain_flow(spec), plain_flow(network.spec))
        if not initial.partial and different:
            raise UserError(
                f"init_from (= {source}): is another flow than model says: {', '.join(different)}; choose "
                "the model that it is of, or take what fits by init_partial=true."
            )
        left = (*left, *(f"setting: {line}" for line in different))
    return digest_of(network.state_dict()), left


def _initial_state(path: Path, averaging: Averaging | None) -> tuple[Mapping[str, Any], Path, Any]:
    """Weights, where they are from, and of what; None of an official file without its configuration."""
    if averaging is not None and VocoderLayout(path).step_checkpoints():
        found = averaged_flow(path, averaging)
        return found.state, found.source, found.spec
    if averaging is not None:
        paths = official_checkpoints(path)[: -averaging.number - 1 : -1] if path.is_dir() else []
        if len(paths) < averaging.number:
            averaged_flow(path, averaging)  # says what is missing
        states = ((str(p), state_of(loaded(p), str(p))) for p in paths)
        state = averaged(states, epsilon=averaging.epsilon, count=averaging.number)
        return state, path, _official_spec(paths[0], state)
    file = VocoderLayout(path).best_or_last() if path.is_dir() else None
    file = file or _file(path)
    if file.suffix in (".ckpt", ".safetensors"):
        found = found_flow(file)
        return found.state, found.source, found.spec
    state = state_of(loaded(file), str(file))
    return state, file, _official_spec(file, state)


def _official_spec(path: Path, state: Mapping[str, Any]) -> Any:
    """What the configuration beside an official file says; None without one: the shapes must do."""
    if not path.with_name("config.json").is_file():
        return None
    return found_official(path, state, None, None).spec


def is_official_flow(path: Path) -> bool:
    """Whether a file, or one in a directory, is named as the official codes name theirs."""
    return bool(official_checkpoints(path)) if path.is_dir() else bool(CHECKPOINT.fullmatch(path.name))
