"""What may be said to a run that is continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.errors import UserError
from namexp.runs.identity import difference
from namexp.schema.experiment import resolved_config
from namexp.schema.resuming import continued_config, resume_argument, stored_config
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.known import parse_experiment


def _continued(first: list[str], then: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        stored = resolved_config(compose("train", first), CaptureConfig)
        config = continued_config(stored, compose("train", then), then, CaptureConfig)
    parse_experiment(config)
    return stored, config


def test_nothing_said_nothing_changed() -> None:
    stored, config = _continued(["model=wavenet", "seed=3", "optimizer.lr=0.1"], ["resume=run"])
    assert config == stored


@pytest.mark.parametrize(
    ("then", "key", "value"),
    [
        ("trainer.max_epochs=400", ("trainer", "max_epochs"), 400),
        ("trainer.max_epochs=100", ("trainer", "max_epochs"), 100),  # the default is meant when it is said
        ("trainer.threads=2", ("trainer", "threads"), 2),
        ("trainer.cuda_graph=false", ("trainer", "cuda_graph"), False),
        ("logger=wandb", ("logger", "kind"), "wandb"),
        ("logger.project=mine", ("logger", "project"), "mine"),
        ("callbacks=quiet", ("callbacks", "plots"), False),
        ("callbacks.patience=7", ("callbacks", "patience"), 7),
        ("export.container_max_values=compute", ("export", "container_max_values"), "compute"),
        ("export.metadata.name=Amp", ("export", "metadata", "name"), "Amp"),
        ("trainer=gpu", ("trainer", "accelerator"), "gpu"),
    ],
)
def test_what_cannot_change_the_past_is_taken(then: str, key: tuple[str, ...], value: Any) -> None:
    stored, config = _continued(["seed=3", "trainer.max_epochs=7", "callbacks.stop_at_esr=0.5"], [then])
    node: Any = config
    for name in key:
        node = node[name]
    assert node == value
    assert config["seed"] == 3
    group = key[0]
    assert {k: v for k, v in config.items() if k != group} == {k: v for k, v in stored.items() if k != group}
    if then != "callbacks=quiet":
        assert config["callbacks"]["stop_at_esr"] == 0.5


def test_recordings_may_have_been_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    then = ["data.input=moved/x.wav"]  # its content is compared later
    _, config = _continued(["data.input=/a/x.wav", "data.target=/a/y.wav"], then)
    assert (config["data"]["input"], config["data"]["target"]) == (str(tmp_path / "moved/x.wav"), "/a/y.wav")


def test_another_device_leaves_the_length_alone() -> None:
    _, config = _continued(["trainer.max_epochs=7", "trainer.gradient_clip_norm=1"], ["trainer=gpu"])
    trainer = config["trainer"]
    assert (trainer["accelerator"], trainer["max_epochs"], trainer["gradient_clip_norm"]) == ("gpu", 7, 1)


def test_a_run_from_before_there_were_graphs_goes_on_with_them() -> None:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        composed = compose("train", ["trainer.cuda_graph=false"])
    stored = resolved_config(composed, CaptureConfig)
    del stored["trainer"]["cuda_graph"]
    assert parse_experiment(continued_config(stored, composed, [], CaptureConfig)).trainer.graphs
    said = continued_config(stored, composed, ["trainer.cuda_graph=false"], CaptureConfig)
    assert not parse_experiment(said).trainer.graphs


@pytest.mark.parametrize("group", ["logger=csv", "callbacks=default"])
def test_a_group_may_go_back_to_the_default(group: str) -> None:
    _, config = _continued(["logger=wandb", "callbacks=quiet"], [group])
    assert (config["logger"]["kind"] == "csv") is (group == "logger=csv")
    assert config["callbacks"]["plots"] is (group == "callbacks=default")


@pytest.mark.parametrize(
    "then",
    ["seed=1", "optimizer.lr=0.5", "model=wavenet", "data.batch_size=3", "loss.mse_weight=2", "loss=mse",
     "trainer.precision='64'", "trainer.check_val_every_n_epoch=2", "+optimizer.options.amsgrad=true",
     "init_from=x.nam", "experiment=thorough", "sweep=seeds", "data.pairs=[]"],
)  # fmt: skip
def test_what_could_change_the_past_is_refused(then: str) -> None:
    with pytest.raises(UserError) as error:
        _continued(["data.batch_size=16"], [then])
    assert str(error.value).startswith(f"{then} cannot be combined with resume")


def test_saying_again_what_was_said_is_no_change() -> None:
    stored, config = _continued(["seed=4", "optimizer.lr=0.5"], ["seed=4", "optimizer.lr=0.5"])
    assert config == stored


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["seed=0"], None),
        (["resume=a/run", "seed=0"], "a/run"),
        (["resume='a run'"], "a run"),
        (["data.resume=x"], None),
        (["resume=auto"], "auto"),
        (["resume=null"], None),
        (["resume=a", "resume=b"], "b"),
        (['resume="with \\" quotes"'], 'with " quotes'),
        (["resume='a,b=[c]'"], "a,b=[c]"),
    ],
)
def test_where_to_resume(arguments: list[str], expected: str | None) -> None:
    assert resume_argument(arguments) == expected


def test_an_empty_place_is_refused() -> None:
    with pytest.raises(UserError, match="resume= is empty"):
        resume_argument(["resume="])


def test_a_config_that_is_not_there_or_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(UserError, match=r"no such file, so .* is not a run directory"):
        stored_config(path)
    path.write_text("a: [1, 2")
    with pytest.raises(UserError, match="cannot be read"):
        stored_config(path)
    path.write_text("- 1\n- 2\n")
    with pytest.raises(UserError, match="must hold the groups of a config"):
        stored_config(path)


def test_the_difference_of_two_configs_is_named() -> None:
    one = {"a": {"b": [1, {"c": 2}]}, "d": 1}
    assert difference(one, {"d": 1, "a": {"b": [1, {"c": 2}]}}) is None
    assert difference(one, {"a": {"b": [1, {"c": 3}]}, "d": 1}) == "a.b"
    assert difference(one, {"a": {"b": [1, {"c": 2}]}}) == "d"
