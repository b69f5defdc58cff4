from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from namexp.conf_dir import conf_dir
from namexp.errors import UserError
from namexp.schema.experiment import resolved_config
from namexp.tasks.capture.config.whole import CaptureConfig, parse_model
from namexp.tasks.known import KINDS, parse_experiment

Parse = Callable[..., CaptureConfig]
SMALL = "model=packed_wavenet_small"
TOP_HEAD = "model.head={channels: 4, activation: ReLU, kernel_sizes: [3]}"


def refusal(parse: Parse, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        parse(*overrides)
    return str(error.value)


# --- agreement between groups ---------------------------------------------------------------------


def test_normalisation_cannot_be_undone_behind_a_top_level_head(experiment_config: Parse) -> None:
    assert refusal(experiment_config, "model=wavenet", TOP_HEAD) == (
        "data.level_rms_dbfs (= -18) cannot be undone in a model with a top-level head (model.head); use "
        "data=raw or set model.head=null."
    )
    config = experiment_config("model=wavenet", TOP_HEAD, "data=raw")
    assert config.plan.spec.head is not None
    assert config.data.level_rms_dbfs is None


@pytest.mark.parametrize("model", ["packed_wavenet_small", "packed_wavenet"])
def test_a_plateau_schedule_would_couple_a_pack(experiment_config: Parse, model: str) -> None:
    plateau = ["scheduler=none", "scheduler.name=ReduceLROnPlateau"]
    assert refusal(experiment_config, f"model={model}", *plateau) == (
        "scheduler.name (= 'ReduceLROnPlateau') would tie the submodels of a pack together: one learning "
        "rate for all would follow their mean; choose a schedule over epochs, such as "
        "scheduler=exponential."
    )


@pytest.mark.parametrize("overrides", [["model=wavenet_nano"], [SMALL, "model.channels=[3]"]])
def test_a_plateau_schedule_may_follow_one_model(experiment_config: Parse, overrides: list[str]) -> None:
    plateau = ["scheduler=none", "scheduler.name=ReduceLROnPlateau"]
    assert experiment_config(*overrides, *plateau).scheduler.name == "ReduceLROnPlateau"


@pytest.mark.parametrize("loss", ["a1", "a2"])
def test_windows_must_hold_the_longest_fft(experiment_config: Parse, loss: str) -> None:
    assert refusal(experiment_config, SMALL, f"loss={loss}", "data.ny=1025") == (
        "data.ny (= 1025) must be at least 1026 for the MRSTFT terms of the loss; use longer windows or "
        "set the loss.*mrstft_weight to 0."
    )
    assert experiment_config(SMALL, f"loss={loss}", "data.ny=1026").data.ny == 1026


def test_windows_may_be_short_without_mrstft(experiment_config: Parse) -> None:
    assert experiment_config(SMALL, "loss=mse", "data.ny=16").data.ny == 16


def test_thresholds_must_fit_the_submodels(experiment_config: Parse) -> None:
    overrides = [SMALL, "export.container_max_values=[0.2,0.5,1.0]"]
    assert refusal(experiment_config, *overrides) == (
        "export.container_max_values (= [0.2, 0.5, 1.0]) has 3 thresholds and the container has 2 "
        "submodels; give one for each."
    )
    config = experiment_config(*overrides, "model.channels=[2,3,4]")
    assert config.export.container_max_values == [0.2, 0.5, 1.0]
    # without a container they have no meaning
    assert refusal(experiment_config, "model=wavenet", overrides[1]).startswith(
        "export.container_max_values (= [0.2, 0.5, 1.0]) has no effect with model.kind wavenet"
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["scheduler.interval=step"], "scheduler.interval (= step) must be epoch for ReduceLROnPlateau"),
        (["scheduler.monitor=val_los"], "scheduler.monitor (= 'val_los') must be one of val_loss, ESR"),
    ],
)
def test_a_plateau_is_seen_where_there_is_a_validation(
    experiment_config: Parse, overrides: list[str], expected: str
) -> None:
    plateau = ["model=wavenet", "scheduler=none", "scheduler.name=ReduceLROnPlateau"]
    assert experiment_config(*plateau).scheduler.name == "ReduceLROnPlateau"
    assert refusal(experiment_config, *plateau, *overrides).startswith(expected)


def test_a_seed_that_numpy_cannot_take_is_refused(experiment_config: Parse) -> None:
    assert refusal(experiment_config, "seed=5000000000") == "seed (= 5000000000) must be at most 4294967295."


def test_what_the_runtime_plays_otherwise_is_refused_with_the_submodel(experiment_config: Parse) -> None:
    arrays = (
        "model.layer_arrays=[{kernel_sizes: 2, dilations: [1], activation: Tanh, layer1x1: {active: false}}]"
    )
    assert refusal(experiment_config, SMALL, arrays).startswith(
        "model 'channels_3': layer_arrays[0].layer1x1.active (= False): the C++ runtime passes"
    )


def test_slicing_needs_its_own_model_kind(experiment_config: Parse) -> None:
    arrays = "model.layer_arrays=[{kernel_sizes: 2, dilations: [1], activation: Tanh, slimmable: {}}]"
    assert refusal(experiment_config, "model=wavenet", "model.channels=4", arrays) == (
        "model.layer_arrays[0].slimmable is set; use model=slimmable to train by channel slicing."
    )


# --- every group's ranges -------------------------------------------------------------------------

OUT_OF_RANGE = {
    "seed=-1": "seed (= -1) must be at least 0.",
    "seed=1.5": "seed (= 1.5) must be a whole number.",
    "seed=null": "seed is missing; give it a value.",
    "model.kind=lstm": f"model.kind (= 'lstm') must be one of {', '.join(KINDS)}",
    "model.kind=slimable": f"model.kind (= 'slimable') must be one of {', '.join(KINDS)}; "
    "did you mean 'slimmable'?",
    "model.head_scale=nan": "model.head_scale (= nan) must be a finite number.",
    "model.layer_arrays=null": "model.layer_arrays is missing; give it a value.",
    "data.ny=0": "data.ny (= 0) must be above 0.",
    "data.batch_size=-4": "data.batch_size (= -4) must be above 0.",
    "data.delay=0.5": "data.delay (= 0.5) must be a whole number.",
    "data.target=amp.wav": "data.target (= amp.wav) is given without data.input; give both files, or neither "
    "for the embedded recording.",
    "loss.mse_weight=-1": "loss.mse_weight (= -1.0) must be at least 0.",
    "loss.mrstft_weight=nan": "loss.mrstft_weight (= nan) must be at least 0.",
    "loss.esr_weight=inf": "loss.esr_weight (= inf) must be at least 0.",
    "loss.mse_weight=0": "every loss weight is 0; set at least one, such as loss.mse_weight=1.",
    "loss.pre_emphasis_mse_coefficient=1.1":
        "loss.pre_emphasis_mse_coefficient (= 1.1) must lie between 0 and 1.",
    "loss.pre_emphasis_mrstft_coefficient=-0.1":
        "loss.pre_emphasis_mrstft_coefficient (= -0.1) must lie between "
    "0 and 1.",
    "loss.val_loss=ESR": "loss.val_loss (= 'ESR') must be one of esr, mse, mrstft.",
    "optimizer.name=Adamm":
        "optimizer.name (= 'Adamm') is not an optimiser that namexp trains with; did you mean "
    "'Adam'?",
    "optimizer.name=Soap":
        "optimizer.name (= 'Soap') is not an optimiser that namexp trains with; did you mean 'SOAP'?",
    "scheduler.name=WarmupCosin":
        "scheduler.name (= 'WarmupCosin') is not a scheduler that namexp trains with; did you mean "
    "'WarmupCosine'?",
    "optimizer.lr=0": "optimizer.lr (= 0.0) must be above 0.",
    "optimizer.lr=-1": "optimizer.lr (= -1.0) must be above 0.",
    "optimizer.lr=inf": "optimizer.lr (= inf) must be above 0.",
    "optimizer.weight_decay=-0.1": "optimizer.weight_decay (= -0.1) must be at least 0.",
    "+optimizer.options.lr=1": "optimizer.options.lr (= 1) has a place of its own: set optimizer.lr.",
    "+optimizer.options.weight_decay=1": "optimizer.options.weight_decay (= 1) has a place of its own: set "
    "optimizer.weight_decay.",
    "scheduler.name=ExponentialR":
        "scheduler.name (= 'ExponentialR') is not a scheduler that namexp trains with; "
    "did you mean 'ExponentialLR'?",
    "scheduler.interval=batch": "scheduler.interval (= 'batch') must be epoch or step.",
    "scheduler.options.gamma=0": "scheduler.options.gamma (= 0) must be above 0.",
    "trainer.accelerator=tpu": "trainer.accelerator (= 'tpu') must be cpu or gpu.",
    "trainer.precision=16": "trainer.precision (= '16') must be one of '32', '64', 'bf16-mixed', '16-mixed'.",
    "trainer.max_epochs=0": "trainer.max_epochs (= 0) must be at least 1.",
    "trainer.max_steps=0": "trainer.max_steps (= 0) must be at least 1.",
    "trainer.max_steps=many": "trainer.max_steps (= 'many') must be a whole number.",
    "trainer.check_val_every_n_epoch=0": "trainer.check_val_every_n_epoch (= 0) must be at least 1.",
    "trainer.log_every_n_steps=0": "trainer.log_every_n_steps (= 0) must be at least 1.",
    "trainer.limit_train_batches=0.5": "trainer.limit_train_batches (= 0.5) must be a whole number.",
    "trainer.threads=0": "trainer.threads (= 0) must be at least 1.",
    "trainer.gradient_clip_norm=0": "trainer.gradient_clip_norm (= 0) must be above 0 or null.",
    "trainer.gradient_clip_norm=nan": "trainer.gradient_clip_norm (= nan) must be above 0 or null.",
    "callbacks.stop_at_esr=0": "callbacks.stop_at_esr (= 0) must be above 0 or null.",
    "callbacks.patience=0": "callbacks.patience (= 0) must be at least 1.",
    "callbacks.patience=1.5": "callbacks.patience (= 1.5) must be a whole number.",
    "logger.kind=mlflow": "logger.kind (= 'mlflow') must be one of csv, wandb, tensorboard, none.",
    "logger.audio_every_n_validations=0": "logger.audio_every_n_validations (= 0) must be at least 1.",
    "logger.audio_seconds=0": "logger.audio_seconds (= 0.0) must be above 0 and at most 30",
    "logger.audio_seconds=31": "logger.audio_seconds (= 31.0) must be above 0 and at most 30",
    "logger.tags=loud": "logger.tags (= 'loud') must be a list of names",
    "logger.mode=on": "logger.mode (= 'on') must be offline, online or disabled; it follows the environment "
    "variable WANDB_MODE.",
    "export.container_max_values=evenly": "export.container_max_values (= 'evenly') must be uniform",
    "export.container_max_values=[1.0,1.0]":
        "export.container_max_values (= [1.0, 1.0]) gives the thresholds",
    "export.metadata.gear_type=amps":
        "export.metadata.gear_type (= 'amps') must be one of amp, pedal, pedal_amp, "
    "amp_cab, amp_pedal_cab, preamp, studio; did you mean 'amp'?",
    "export.metadata.tone_type=loud":
        "export.metadata.tone_type (= 'loud') must be one of clean, overdrive, crunch, "
    "hi_gain, fuzz.",
    "export.metadata.input_level_dbu=loud":
        "export.metadata.input_level_dbu (= 'loud') must be a finite number.",
    "+export.metadata.gear=amp": "export.metadata.gear (= 'amp') is not a known setting",
}  # fmt: skip


@pytest.mark.parametrize("override", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused(experiment_config: Parse, override: str) -> None:
    message = refusal(experiment_config, SMALL, override)
    assert message.startswith(OUT_OF_RANGE[override])
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("model.head_scale=loud", "model.head_scale (= 'loud'): Value 'loud' of type 'str' could not be"),
        ("optimizer.lr=fast", "optimizer.lr (= 'fast'): Value 'fast' of type 'str' could not be"),
        ("data.batch_size=two", "data.batch_size (= 'two'): Value 'two' of type 'str' could not be"),
        ("data.ny=null", "data.ny (= None): "),
        ("trainer.max_epochs=1.5", "trainer.max_epochs (= 1.5): Value '1.5' of type 'float' could not be"),
        ("callbacks.plots=maybe", "callbacks.plots (= 'maybe'): Value 'maybe' is not a valid bool"),
        ("export.metadata=null", "export.metadata (= None): "),
        ("scheduler.options=3", "scheduler.options (= 3) must be a mapping"),
    ],
)
def test_a_wrong_type_names_place_and_value(experiment_config: Parse, override: str, place: str) -> None:
    message = refusal(experiment_config, SMALL, override)
    assert message.startswith(place)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "+trainr.max_epochs=1",
            "trainr (= {'max_epochs': 1}) is not a known setting; did you mean 'trainer'?",
        ),
        (
            "+trainer.max_epoch=1",
            "trainer.max_epoch (= 1) is not a known setting; did you mean 'max_epochs'?",
        ),
        ("+model.chanels=3", "model.chanels (= 3) is not a known setting; did you mean 'channels'?"),
        (
            "+loss.mrstft_wieght=1",
            "loss.mrstft_wieght (= 1) is not a known setting; did you mean 'mrstft_weight'?",
        ),
    ],
)
def test_a_misspelt_key_is_refused_with_a_suggestion(
    experiment_config: Parse, override: str, message: str
) -> None:
    assert refusal(experiment_config, SMALL, override) == message


@pytest.mark.parametrize("override", ["~data.ny", "~loss.esr_weight", "~trainer.precision"])
def test_a_missing_key_is_refused(experiment_config: Parse, override: str) -> None:
    key = override.removeprefix("~")
    group = key.split(".")[0]
    assert refusal(experiment_config, SMALL, override) == f"{key} is missing; add it to conf/{group}."


def test_an_interpolation_that_leads_nowhere_is_refused(experiment_config: Parse) -> None:
    message = refusal(experiment_config, SMALL, "data.level_rms_dbfs=${nowhere}")
    assert message == "data.level_rms_dbfs: Interpolation key 'nowhere' not found"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer=soap", "optimizer.weight_decay=0.1"],
         "optimizer.weight_decay (= 0.1) has no meaning for SOAP; set it to 0."),
        (["scheduler=warmup_cosine", "scheduler.interval=epoch"],
         "scheduler.interval (= epoch) must be step for WarmupCosine: it counts the steps of the training."),
        (["scheduler=warmup_cosine", "+scheduler.options.total_steps=9"],
         "scheduler.options.total_steps (= 9) follows from trainer.max_epochs and trainer.max_steps; leave "
         "it out."),
    ],
)  # fmt: skip
def test_what_our_own_optimisation_does_not_take_is_refused(
    experiment_config: Parse, overrides: list[str], message: str
) -> None:
    assert refusal(experiment_config, SMALL, *overrides) == message


# --- plain values ---------------------------------------------------------------------------------


def test_metadata_left_null_is_left_out(experiment_config: Parse) -> None:
    config = experiment_config(SMALL, "export.metadata.name=JCM", "export.metadata.input_level_dbu=12")
    assert config.export.metadata == {"name": "JCM", "input_level_dbu": 12.0}


def test_a_written_config_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """config.yaml of a run is read back with files by their absolute paths."""
    monkeypatch.chdir(tmp_path)
    overrides = ["model=packed_wavenet", "seed=3", "data.input=in.wav", "data.target=../amp.wav"]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", overrides)
    resolved = resolved_config(cfg, CaptureConfig)
    assert resolved["data"]["input"] == str(tmp_path / "in.wav")
    assert resolved["data"]["target"] == str(tmp_path.parent / "amp.wav")
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(resolved)))
    again = parse_experiment(OmegaConf.load(tmp_path / "config.yaml"))
    first = parse_experiment(cfg)
    assert again.seed == 3
    assert again.plan == first.plan
    assert (again.loss, again.optimizer, again.scheduler) == (first.loss, first.optimizer, first.scheduler)
    assert parse_model(resolved["model"]) == first.plan


def test_files_of_pairs_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", ["data.pairs=[{input: a.wav, target: b.wav}]"])
    assert resolved_config(cfg, CaptureConfig)["data"]["pairs"] == [
        {"input": str(tmp_path / "a.wav"), "target": str(tmp_path / "b.wav")}
    ]
