"""What Lightning is told about the processes, and what is refused before they start."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

from namexp.engine.module import Optimisation
from namexp.engine.processes import Placed, StreamedCheckpoints, backend_of, check_processes, ddp_arguments
from namexp.errors import UserError
from namexp.ranks.place import ALONE, Place
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network
from namexp.tasks.known import parse_experiment

Parse = Callable[..., CaptureConfig]
PLACE = Place(rank=3, world_size=4, local_rank=1, address="first", port=99)


@pytest.fixture(autouse=True)
def _not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def _module(config: CaptureConfig) -> CaptureModule:
    network = build_network(config.plan, seed=0)
    return CaptureModule(network, Optimisation(config.optimizer, config.scheduler), loss=config.loss)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=packed_wavenet_small"],
        ["model=wavenet_nano"],
        ["model=slimmable"],
        ["model=slimmable", "model.boosting=true"],
    ],
    ids=" ".join,
)
def test_idle_parameters_are_those_without_a_gradient(experiment_config: Parse, overrides: list[str]) -> None:
    module = _module(experiment_config(*overrides))
    network = module.network
    R = network.receptive_field
    assert R is not None
    for step in range(6):  # a slimmable network draws a width in each
        network.begin_step(step)
        network.zero_grad()
        network(torch.randn(2, R + 5)).pow(2).sum().backward()
        idle = [name for name, p in network.named_parameters() if p.grad is None]
        assert bool(idle) == module.idle_parameters()


def test_the_question_leaves_no_gradients(experiment_config: Parse) -> None:
    module = _module(experiment_config("model=packed_wavenet_small"))
    module.idle_parameters()
    assert all(p.grad is None for p in module.parameters())


def test_alone_lightning_gets_no_strategy(experiment_config: Parse) -> None:
    config = experiment_config()
    arguments = ddp_arguments(ALONE, config.trainer, _module(config))
    assert set(arguments) == {"devices", "plugins"}
    assert arguments["devices"] == 1
    assert [type(plugin) for plugin in arguments["plugins"]] == [StreamedCheckpoints]


def test_lightning_is_told_the_place() -> None:
    placed = Placed(PLACE, devices=2)
    assert (placed.global_rank(), placed.local_rank(), placed.node_rank(), placed.world_size()) == (
        3,
        1,
        1,
        4,
    )
    assert (placed.main_address, placed.main_port, placed.creates_processes_externally) == ("first", 99, True)
    placed.set_global_rank(3)
    placed.set_world_size(4)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], True),
        (["trainer=gpu"], True),
        (["trainer=gpu", "trainer.cuda_graph=false"], False),
        (["trainer=gpu", "trainer.precision='64'"], False),
        (["trainer=gpu", "trainer.precision=16-mixed"], False),
        (["trainer=gpu", "trainer.precision=bf16-mixed"], False),
        (["trainer=ddp"], False),  # the processes talk to each other in the midst of a step
    ],
)
def test_steps_are_replayed_by_one_process_in_full_precision(
    experiment_config: Parse, overrides: list[str], expected: bool
) -> None:
    assert experiment_config(*overrides).trainer.graphs is expected


def test_the_ddp_trainer(experiment_config: Parse) -> None:
    trainer = experiment_config("trainer=ddp").trainer
    assert (trainer.accelerator, trainer.devices, trainer.num_nodes, trainer.world_size) == ("gpu", 2, 1, 2)
    assert backend_of(trainer) == "nccl"
    trainer = experiment_config(
        "trainer=ddp", "trainer.accelerator=cpu", "trainer.num_nodes=4", "data.batch_size=8"
    ).trainer
    assert (backend_of(trainer), trainer.world_size) == ("gloo", 8)
    assert experiment_config().trainer.world_size == 1


@pytest.mark.parametrize(
    ("overrides", "environment", "expected"),
    [
        ([], {"RANK": "0", "WORLD_SIZE": "2"}, "2 processes were started.* = 1 x 1; make them equal"),
        (["trainer=ddp"], {"RANK": "0", "WORLD_SIZE": "3"}, "3 processes were started.* = 2 x 1"),
        (["trainer=ddp", "trainer.num_nodes=2"], {}, r"trainer.num_nodes \(= 2\).* torchrun or srun"),
    ],
)
def test_processes_that_are_not_there(
    experiment_config: Parse, monkeypatch: pytest.MonkeyPatch,
    overrides: list[str], environment: dict[str, str], expected: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv("LOCAL_RANK", "0")
        monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(UserError, match=expected):
        check_processes(experiment_config(*overrides, "trainer.accelerator=cpu").trainer)


@pytest.mark.parametrize(
    ("batch_size", "devices", "nodes"), [(16, 2, 1), (16, 2, 8), (12, 3, 2), (7, 1, 1)]
)  # fmt: skip
def test_batches_that_can_be_shared(
    experiment_config: Parse, batch_size: int, devices: int, nodes: int
) -> None:
    config = experiment_config(
        f"data.batch_size={batch_size}", f"trainer.devices={devices}", f"trainer.num_nodes={nodes}"
    )
    assert config.data.batch_size % config.trainer.world_size == 0


@pytest.mark.parametrize(("batch_size", "devices", "nodes"), [(16, 3, 1), (16, 2, 3), (1, 2, 1)])
def test_batches_that_cannot(experiment_config: Parse, batch_size: int, devices: int, nodes: int) -> None:
    with pytest.raises(UserError, match=rf"data.batch_size \(= {batch_size}\).* \(= {devices * nodes}\)"):
        experiment_config(
            f"data.batch_size={batch_size}", f"trainer.devices={devices}", f"trainer.num_nodes={nodes}"
        )


def test_the_config_of_an_older_run_has_one_device(experiment_config: Parse) -> None:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from namexp.conf_dir import conf_dir

    with initialize_config_dir(conf_dir(), version_base="1.3"):
        plain: Any = OmegaConf.to_container(compose("train", []), resolve=True)
    for name in ("devices", "num_nodes"):
        del plain["trainer"][name]
    assert parse_experiment(plain) == experiment_config()
    del plain["trainer"]["threads"]  # which was there from the beginning
    with pytest.raises(UserError, match=r"trainer\.threads is missing"):
        parse_experiment(plain)


@pytest.mark.parametrize("model", ["packed_wavenet_small", "wavenet", "slimmable"])
def test_what_is_sent_to_the_others_arrives(experiment_config: Parse, model: str) -> None:
    config = experiment_config(f"model={model}")
    network = build_network(config.plan, seed=0)
    network(torch.zeros(1, config.plan.receptive_field))  # a slimmable one keeps skeletons
    there, other = pickle.loads(pickle.dumps((config, network)))
    assert there == config
    for (name, p), (_, q) in zip(network.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(p, q), name
        assert p.data_ptr() != q.data_ptr()
