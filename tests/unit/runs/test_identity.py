"""The identity of a training: what counts, leaf by leaf, and what does not."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.runs import identity
from namexp.runs.identity import seedless_id
from namexp.schema.experiment import resolved_config
from namexp.tasks.capture.config.whole import CaptureConfig

BY = CaptureConfig.identifying()
training_id = functools.partial(identity.training_id, by=BY)
AUDIO = {"input": ["aa", "bb"], "target": ["cc", "dd"]}

# Said here once more: whoever calls another setting neutral should have to say it twice.
NEUTRAL_LEAVES = {
    "export.container_max_values", "export.metadata.name", "export.metadata.modeled_by",
    "export.metadata.gear_type", "export.metadata.gear_make", "export.metadata.gear_model",
    "export.metadata.tone_type", "export.metadata.input_level_dbu", "export.metadata.output_level_dbu",
    "logger.kind", "logger.project", "logger.mode", "logger.name", "logger.group", "logger.tags",
    "logger.entity", "logger.audio_every_n_validations", "logger.audio_seconds",
    "callbacks.progress", "callbacks.plots", "callbacks.audio", "callbacks.report",
    "trainer.log_every_n_steps", "trainer.cuda_graph", "data.input", "data.target",
    "init_from", "init_average", "init_epsilon", "init_partial",
    "callbacks.checkpoint_every_n_steps", "callbacks.keep_checkpoints",
    "data.pairs.0.input", "data.pairs.0.target", "data.pairs.1.input", "data.pairs.1.target",
}  # fmt: skip
PAIRS = "data.pairs=[{input: a.wav, target: b.wav, delay: 3}, {input: c.wav, target: d.wav, use: validation}]"
CASES = {
    "the defaults": (),
    "an ordinary model of several recordings": ("model=wavenet", "data=raw", PAIRS),
    "a slimmable one": ("model=slimmable", "logger=wandb"),
}


def _resolved(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return resolved_config(compose("train", list(overrides)), CaptureConfig)


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value; a list of mappings is gone through, another list is a value."""
    items: Any = None
    if isinstance(node, dict) and node:
        items = node.items()
    elif isinstance(node, list) and node and all(isinstance(item, dict) for item in node):
        items = enumerate(node)
    if items is None:
        yield path
        return
    for key, value in items:
        yield from _leaves(value, (*path, key))


def _flipped(config: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """``config`` with another value at ``path``."""
    changed = copy.deepcopy(config)
    node: Any = changed
    for key in path[:-1]:
        node = node[key]
    value = node[path[-1]]
    if isinstance(value, bool):
        node[path[-1]] = not value
    elif isinstance(value, int | float):
        node[path[-1]] = value + 1
    elif isinstance(value, list):
        node[path[-1]] = [*value, 1]
    elif isinstance(value, dict):
        node[path[-1]] = {"x": 1}
    else:  # text or null
        node[path[-1]] = f"{value} and more"
    return changed


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES)
def test_every_setting_counts_except_the_neutral_ones(overrides: tuple[str, ...]) -> None:
    config = _resolved(*overrides)
    own = training_id(config, AUDIO)
    paths = list(_leaves(config))
    assert len(paths) > 60
    unchanged = {path for path in paths if training_id(_flipped(config, path), AUDIO) == own}
    expected = {".".join(map(str, path)) for path in paths} & NEUTRAL_LEAVES
    assert {".".join(map(str, path)) for path in unchanged} == expected
    assert len(expected) >= 20


def test_the_neutral_ones_are_those_that_are_declared() -> None:
    plain = {".".join(part for part in leaf.split(".") if not part.isdigit()) for leaf in NEUTRAL_LEAVES}
    assert all(any(f"{leaf}.".startswith(f"{name}.") for name in BY.ignored) for leaf in plain)
    assert all(any(f"{leaf}.".startswith(f"{name}.") for leaf in plain) for name in BY.ignored)


@pytest.mark.parametrize("path", [("input", 0), ("input", 1), ("target", 0), ("target", 1)])
def test_the_content_of_every_recording_counts(path: tuple[str, int]) -> None:
    config = _resolved()
    other = copy.deepcopy(AUDIO)
    other[path[0]][path[1]] = "ee"
    assert training_id(config, other) != training_id(config, AUDIO)


def test_input_and_target_are_told_apart() -> None:
    exchanged = {"input": AUDIO["target"], "target": AUDIO["input"]}
    assert training_id({}, exchanged) != training_id({}, AUDIO)


def test_the_names_of_files_do_not_count_but_the_ranges_of_pairs_do() -> None:
    def pairs(first: str, **more: Any) -> dict[str, Any]:
        return {"data": {"pairs": [{"input": first, "target": "b.wav", **more}], "ny": 8192}}

    own = training_id(pairs("/here/a.wav"), AUDIO)
    assert training_id(pairs("/there/other.wav"), AUDIO) == own
    assert training_id(pairs("/here/a.wav", delay=1), AUDIO) != own


def test_the_order_of_keys_does_not_count() -> None:
    assert training_id({"a": 1, "b": {"c": 2, "d": 3}}, AUDIO) == training_id(
        {"b": {"d": 3, "c": 2}, "a": 1}, AUDIO
    )


def test_a_setting_of_the_same_name_elsewhere_counts() -> None:
    assert training_id({"model": {"export": 1}}, AUDIO) != training_id({"model": {"export": 2}}, AUDIO)


def test_sixteen_hex_digits_that_stay_the_same_for_ever() -> None:
    # another recipe would part old runs from new
    text = b'{"audio": {"input": ["aa"]}, "config": {"seed": 0}}'
    own = training_id({"seed": 0, "export": {"x": 1}}, {"input": ["aa"]})
    assert own == hashlib.sha256(text).hexdigest()[:16]


def test_what_joined_later_counts_only_once_it_is_used() -> None:
    config = _resolved()
    for place, before in BY.joined.items():
        group, name = place.split(".")
        assert config[group][name] == before, "the default leaves everything as it was"
        without = {**config, group: {key: value for key, value in config[group].items() if key != name}}
        assert training_id(without, AUDIO) == training_id(config, AUDIO)
        assert training_id(_flipped(config, (group, name)), AUDIO) != training_id(config, AUDIO)


def test_without_the_seed_only_the_seed_does_not_count() -> None:
    one, other = _resolved("seed=1"), _resolved("seed=2")
    assert training_id(one, AUDIO) != training_id(other, AUDIO)
    seedless = functools.partial(seedless_id, by=BY)
    assert seedless(one, AUDIO) == seedless(other, AUDIO)
    assert seedless(one, AUDIO) != seedless(_resolved("seed=1", "optimizer.lr=0.5"), AUDIO)
