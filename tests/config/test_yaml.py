"""Every YAML of conf/ composes, is typed, and means what its comments say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

import namexp.conf_dir as conf_dir_module
from namexp.conf_dir import conf_dir
from namexp.engine.optimisation import OWN, build_optimizer, build_scheduler
from namexp.errors import UserError
from namexp.schema.initial import SETTINGS as INITIAL
from namexp.schema.optimisation import OPTIMIZERS, OWN_OPTIMIZERS, OWN_SCHEDULERS, SCHEDULERS
from namexp.sweeps.record import expand
from namexp.sweeps.space import split_space
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.known import config_of, parse_experiment

Parse = Callable[..., CaptureConfig]
GROUPS = CaptureConfig.groups()
OF_VOCODERS = {
    ("data", "speech"), ("data", "ljspeech"), ("data", "ljspeech_report"), ("data", "ljspeech_nanoflow"),
    ("loss", "hifigan"),
}  # fmt: skip
OF_DENSITIES = {
    ("data", "images"): "data.set=embedded", ("data", "cifar10"): "data.dir=images",
    ("data", "svhn"): "data.dir=images",
}  # fmt: skip
CONF = Path(conf_dir())
CHOICES = sorted(
    (path.parent.name, path.stem)
    for path in CONF.glob("*/*.yaml")
    if path.parent.name not in ("experiment", "sweep")
)
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SLURM = Path("hydra/launcher/slurm.yaml")  # see e2e/test_submitit.py
TOP = {*GROUPS, "model", "seed", "resume", *INITIAL}
# A list in a sweep's YAML is one job, not several: hence the numbers, said once more.
SWEEPS = {
    "recipes": 6,
    "channels_thresholds": 12,
    "learning_rate": 10,
    "loss_weights": 10,
    "seeds": 5,
    "search": None,
    "parameter_sharing": 12,
    "density_sharing": 15,
}
PROMISED = {
    ("model", "wavenet"), ("model", "packed_wavenet"), ("model", "packed_wavenet_small"),
    ("model", "slimmable"), ("data", "normalized"), ("data", "raw"), ("trainer", "gpu"),
    ("trainer", "cpu"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _clean_hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return compose("train", list(overrides))


def plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True)


# --- every file -----------------------------------------------------------------------------------


def test_nothing_lies_outside_the_groups_that_are_tested() -> None:
    assert set(CHOICES) >= PROMISED
    assert {group for group, _ in CHOICES} == {*GROUPS, "model"}
    found = {path.relative_to(CONF) for path in CONF.rglob("*.yaml")}
    tested = {Path(group) / f"{name}.yaml" for group, name in CHOICES}
    tested |= {Path("experiment") / f"{name}.yaml" for name in EXPERIMENTS}
    tested |= {Path("sweep") / f"{name}.yaml" for name in SWEEPS}
    assert found - tested == {Path("train.yaml"), Path("hydra/sweeper/search.yaml"), SLURM}


@pytest.mark.parametrize(("sweep", "count"), SWEEPS.items())
def test_every_sweep_has_its_jobs_and_each_is_legal(sweep: str, count: int | None) -> None:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", [f"sweep={sweep}"], return_hydra_config=True)
    assert cfg.hydra.mode.name == "MULTIRUN"
    params = [f"{key}={value}" for key, value in cfg.hydra.sweeper.params.items()]
    if count is None:
        space = split_space(params)
        assert space.fixed == []
        assert len(space.searched) == 3
        return
    jobs = expand(params)
    assert len(jobs) == count
    for job in jobs:
        parse_experiment(composed(f"sweep={sweep}", *job))


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_file_has_the_keys_of_its_class_and_parses(group: str, name: str) -> None:
    of_vocoder = ["model=hifigan_tiny", "data.dir=clips"] if (group, name) in OF_VOCODERS else []
    of_density = ["model=density_tiny", OF_DENSITIES[group, name]] if (group, name) in OF_DENSITIES else []
    of_flow = ["model=waveflow_tiny"] if (group, name) == ("loss", "flow") else []
    cfg = composed(*of_vocoder, *of_density, *of_flow, f"{group}={name}")
    task = config_of(cfg)
    cls = task.models[cfg.model.kind] if group == "model" else task.groups()[group]
    assert set(cfg[group]) == {field.name for field in dataclasses.fields(cls)}
    config = parse_experiment(cfg)
    assert type(getattr(config, group)) is cls


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_changes_something_and_parses(experiment: str) -> None:
    cfg = composed(f"experiment={experiment}")
    is_bare = experiment == "ours_a2"  # a name for it
    assert (plain(cfg) == plain(composed())) is is_bare
    assert set(cfg) - {"export"} == TOP - {"export"}  # it adds no group of its own
    parse_experiment(cfg)


def test_the_top_level_is_the_groups_the_seed_and_where_to_start() -> None:
    assert set(composed()) == TOP
    assert {field.name for field in dataclasses.fields(CaptureConfig)} == TOP - {"resume"}


def test_the_defaults_are_the_promised_ones() -> None:
    assert plain(composed()) == plain(
        composed("model=packed_wavenet", "data=normalized", "trainer=cpu", "logger=csv", "seed=0")
    )
    config = parse_experiment(composed())
    assert config.data.embedded is True
    assert config.data.validation_seconds == 9.0
    assert config.data.level_rms_dbfs == -18.0
    assert config.trainer.accelerator == "cpu"
    assert config.export.container_max_values == "uniform"
    assert [s.name for s in config.plan.submodels] == ["channels_3", "channels_8"]


def test_raw_differs_from_normalized_by_the_level_alone() -> None:
    raw, normalized = plain(composed("data=raw").data), plain(composed().data)
    assert {key for key in raw if raw[key] != normalized[key]} == {"level_rms_dbfs"}
    assert raw["level_rms_dbfs"] is None


@pytest.mark.parametrize("mode", ["offline", "online", "disabled"])
def test_wandb_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, experiment_config: Parse, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    assert experiment_config("logger=wandb").logger.mode == mode


def test_wandb_is_offline_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, experiment_config: Parse
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    assert experiment_config("logger=wandb").logger.mode == "offline"


# --- recipes --------------------------------------------------------------------------------------

RECIPES = {
    "packed_wavenet": ("a2", "soap", "warmup_cosine"),
    "packed_wavenet_small": ("mse", "adam", "exponential"),
    "slimmable": ("mse", "soap", "warmup_cosine"),
    "wavenet": ("a1", "soap", "warmup_cosine"),
    "wavenet_lite": ("a1", "soap", "warmup_cosine"),
    "wavenet_feather": ("a1", "soap", "warmup_cosine"),
    "wavenet_nano": ("a1", "soap", "warmup_cosine"),
    **dict.fromkeys(
        ("hifigan_v1", "hifigan_v2", "hifigan_v3", "hifigan_tiny", "hifigan_v1_24k", "hifigan_v1_44k"),
        ("hifigan", "hifigan", "hifigan"),
    ),
    **dict.fromkeys(
        (
            "waveflow_h16_r64", "waveflow_h16_r128", "nanoflow_h16_r128_emb512",
            "nanoflow_h16_r128_emb1024_f16", "nanoflow_decomp_h16_r128", "nanoflow_naive_h16_r128",
            "waveflow_tiny", "nanoflow_tiny",
        ),
        ("flow", "flow", "flow"),
    ),
    **dict.fromkeys(
        (
            "density_glow_256", "density_glow_512", "density_glow_large", "density_naive", "density_decomp",
            "density_nanoflow", "density_k48", "density_tiny", "density_tiny_glow", "density_tiny_deep",
            "density_tiny_naive", "density_tiny_decomp",
        ),
        (None, "density", "density"),
    ),
}  # fmt: skip
RECIPE_GROUPS = ("loss", "optimizer", "scheduler")


def on_file(group: str, name: str) -> Any:
    """What the option says, its own defaults below it."""
    node = OmegaConf.load(CONF / group / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    parents = [p for p in node.pop("defaults", []) if p != "_self_"]
    below: dict[str, Any] = {}
    for parent in parents:
        below.update(on_file(group, parent))
    return {**below, **plain(node)}


def test_every_model_has_a_recipe() -> None:
    assert {name for group, name in CHOICES if group == "model"} == set(RECIPES)


@pytest.mark.parametrize("model", RECIPES)
def test_a_model_brings_its_recipe(model: str) -> None:
    cfg = composed(f"model={model}")
    assert {group: plain(cfg[group]) for group in RECIPE_GROUPS if group in cfg} == {
        group: on_file(group, name)
        for group, name in zip(RECIPE_GROUPS, RECIPES[model], strict=True)
        if name is not None
    }


OTHER = {"loss": {"a1": "a2", "a2": "mse", "mse": "a1"}, "optimizer": {"adam": "a2", "soap": "adam"}}
OTHER["scheduler"] = {"warmup_cosine": "none", "exponential": "a2"}


VOCODERS = [model for model, recipe in RECIPES.items() if recipe[0] == "hifigan"]


@pytest.mark.parametrize("model", VOCODERS)
def test_a_vocoder_brings_speech_unless_other_data_is_named(model: str) -> None:
    cfg = composed(f"model={model}")
    assert "export" not in cfg
    speech = {**on_file("data", "speech"), "segment_size": cfg.data.segment_size}
    assert plain(cfg.data) == speech
    assert cfg.data.segment_size % cfg.model.mel.hop_length == 0
    named = composed(f"model={model}", "data=ljspeech")
    assert (named.data.expected_train_clips, named.data.expected_validation_clips) == (12950, 150)


DENSITIES = [model for model, recipe in RECIPES.items() if recipe[1] == "density"]
OFFICIAL_COUNTS = {
    "density_glow_256": 15972912, "density_glow_512": 44235312, "density_glow_large": 287488560,
    "density_naive": 9263064, "density_decomp": 9934896, "density_nanoflow": 10113264,
    "density_k48": 10718544,
}  # fmt: skip
TINY_COUNTS = {
    "density_tiny": 162888, "density_tiny_glow": 188736, "density_tiny_deep": 282432,
    "density_tiny_naive": 154344, "density_tiny_decomp": 158880,
}  # fmt: skip


@pytest.mark.parametrize("model", DENSITIES)
def test_a_density_brings_images_and_has_its_count(model: str) -> None:
    cfg = composed(f"model={model}")
    assert not {"export", "loss"} & set(cfg)
    assert plain(cfg.data) == on_file("data", "images")
    config: Any = parse_experiment(cfg)
    assert config.model.spec.num_parameters == {**OFFICIAL_COUNTS, **TINY_COUNTS}[model]
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay) == (
        "Adamax", 0.0005, 5e-5,
    )  # fmt: skip
    assert config.data.batch_size == 64


def test_the_learning_rate_of_a_density_warms_up_for_five_epochs() -> None:
    config = parse_experiment(composed("model=density_tiny"))
    optimizer = build_optimizer([torch.nn.Parameter(torch.zeros(1))], config.optimizer)
    schedule = build_scheduler(optimizer, config.scheduler)
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"] / 0.0005)
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("first", [True, False], ids=["before model=", "after model="])
@pytest.mark.parametrize("model", ["packed_wavenet", "wavenet", "wavenet_nano", "slimmable"])
def test_the_command_line_wins_over_the_recipe(model: str, first: bool) -> None:
    chosen = {g: OTHER[g][name] for g, name in zip(RECIPE_GROUPS, RECIPES[model], strict=True)}
    overrides = [f"{group}={name}" for group, name in chosen.items()]
    cfg = composed(*([*overrides, f"model={model}"] if first else [f"model={model}", *overrides]))
    for group, name in chosen.items():
        assert plain(cfg[group]) == on_file(group, name)
        assert plain(cfg[group]) != plain(composed(f"model={model}")[group])


def test_a_value_on_the_command_line_wins_over_the_recipe() -> None:
    cfg = composed("optimizer.lr=0.1", "model=wavenet", "loss.mse_weight=2")
    assert (cfg.optimizer.lr, cfg.loss.mse_weight) == (0.1, 2)
    assert cfg.loss.pre_emphasis_mrstft_weight == 0.0002  # the rest is still A1's


def test_the_peers_recipes_are_experiments() -> None:
    a2, a1, sliced = (
        parse_experiment(composed(f"experiment={name}")) for name in ("peer_a2", "peer_a1", "peer_slimmable")
    )
    assert [c.model.kind for c in (a2, a1, sliced)] == ["packed_wavenet", "wavenet", "slimmable"]
    assert (a2.loss.mse_weight, a2.loss.mrstft_weight, a2.loss.val_loss) == (1.0, 0.0005, "esr")
    assert (a2.optimizer.name, a2.optimizer.lr, a2.optimizer.weight_decay) == ("Adam", 0.004, 3.17e-7)
    assert (a2.scheduler.name, a2.scheduler.options) == ("ExponentialLR", {"gamma": 0.994})
    assert (a1.loss.mse_weight, a1.loss.mrstft_weight) == (1.0, 0.0)
    assert (a1.loss.pre_emphasis_mrstft_weight, a1.loss.pre_emphasis_mrstft_coefficient) == (0.0002, 0.85)
    assert (a1.optimizer.lr, a1.optimizer.weight_decay) == (0.004, 0.0)
    assert a1.scheduler.options == {"gamma": 0.993}
    assert {(c.data.ny, c.data.batch_size, c.model.weight_init) for c in (a2, a1, sliced)} == {
        (8192, 16, "torch")
    }
    assert (sliced.model.boosting, sliced.model.init_strategy) == (True, "smallest_and_zeros")
    assert (sliced.loss.mse_weight, sliced.loss.mrstft_weight, sliced.optimizer.lr) == (1.0, 0.0, 0.004)


# --- torch's names --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_one_of_torchs(name: str) -> None:
    assert issubclass(getattr(torch.optim, name), torch.optim.Optimizer)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_one_of_torchs(name: str) -> None:
    scheduler = getattr(torch.optim.lr_scheduler, name)
    assert issubclass(scheduler, torch.optim.lr_scheduler.LRScheduler)


def test_what_is_our_own_is_there_and_not_torchs() -> None:
    assert set(OWN) == {*OWN_OPTIMIZERS, *OWN_SCHEDULERS}
    assert all(issubclass(OWN[name], torch.optim.Optimizer) for name in OWN_OPTIMIZERS)
    assert all(issubclass(OWN[name], torch.optim.lr_scheduler.LRScheduler) for name in OWN_SCHEDULERS)
    assert not any(hasattr(torch.optim, name) for name in OWN)


@pytest.mark.parametrize("model", ["packed_wavenet", "wavenet", "slimmable"])
def test_soap_is_for_every_amp(model: str) -> None:
    config = parse_experiment(composed(f"model={model}", "optimizer=soap", "scheduler=warmup_cosine"))
    optimizer = build_optimizer([torch.nn.Parameter(torch.zeros(2, 2))], config.optimizer)
    (group,) = optimizer.param_groups
    del group["params"]
    schedule = build_scheduler(optimizer, config.scheduler, total_steps=100)
    assert (schedule.total_steps, schedule.warmup_steps, schedule.final) == (100, 60, 0.02), (
        "a fifth of 100 is warm-up"
    )
    assert group == {
        "lr": 0.008 / 20, "initial_lr": 0.008, "betas": (0.95, 0.95), "eps": 1e-8,
        "precondition_frequency": 10, "go_back_above": 10.0, "share": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("model", ["hifigan_tiny", "waveflow_tiny", "density_tiny"])
def test_soap_is_for_amps_only(model: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_experiment(composed(f"model={model}", "optimizer=soap"))
    assert str(caught.value).startswith("optimizer.name (= 'SOAP') is not for ")
    assert "\n" not in str(caught.value)


# --- where conf lies ------------------------------------------------------------------------------


def test_conf_is_found_from_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = plain(composed())
    monkeypatch.chdir(tmp_path)
    assert Path(conf_dir()) == CONF
    assert Path(conf_dir()).is_absolute()
    assert plain(composed()) == here


def pretend_package(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = root / "src" / "namexp"
    package.mkdir(parents=True)
    monkeypatch.setattr(conf_dir_module, "__file__", str(package / "conf_dir.py"))
    return package


def test_a_missing_conf_names_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pretend_package(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError) as error:
        conf_dir()
    assert str(error.value) == (
        f"no train.yaml in {package / 'conf'} or {tmp_path / 'conf'}; install namexp again."
    )


def test_an_installed_conf_comes_before_that_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pretend_package(tmp_path, monkeypatch)
    for parent, expected in ((tmp_path, tmp_path / "conf"), (package, package / "conf")):
        (parent / "conf").mkdir()
        (parent / "conf" / "train.yaml").write_text("seed: 0\n")
        assert conf_dir() == str(expected)
