"""Settings of a density that are refused, each by its name."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.errors import UserError
from namexp.tasks.density.config.whole import DensityConfig
from namexp.tasks.known import parse_experiment


def parsed(*overrides: str) -> Any:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return parse_experiment(compose("train", ["model=density_tiny", *overrides]))


def test_the_usual_settings() -> None:
    config = parsed()
    assert type(config) is DensityConfig
    assert config.headline.name == "bpd"
    assert config.headline.better == "lower"
    assert config.data.embedded
    assert config.seed == 1234
    cifar10 = parsed("data=cifar10", "data.dir=images")
    assert (cifar10.data.set, cifar10.data.dir, cifar10.data.flip) == ("cifar10", "images", True)
    assert not parsed("data=svhn", "data.dir=images").data.flip


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.set=cifar"], "data.set (= 'cifar') is unknown; did you mean 'cifar10'?"),
        (["data=cifar10"], "data.set (= cifar10) is read from files: say where they lie by data.dir."),
        (["data.dir=here"], "data.dir (= 'here') is of no use to data.set embedded"),
        (["data=svhn", "data.dir=3"], "data.dir (= 3) must be the name of a directory, or null."),
        (["data.shift=0.6"], "data.shift (= 0.6) must be between 0 and 0.5"),
        (["data.batch_size=0"], "data.batch_size (= 0) must be at least 1."),
        (["data.init_batches=0"], "data.init_batches (= 0) must be at least 1."),
        (["data.max_train_images=0"], "data.max_train_images (= 0) must be at least 1."),
        (["data.num_workers=-1"], "data.num_workers (= -1) must be at least 0."),
        (["model.image_size=64"], "model.image_size (= 64) must be 32"),
        (["model.levels=6"], "model.image_size (= 32) is halved by each of the 6 levels"),
        (["model.steps=0"], "model.steps (= 0) must be at least 1."),
        (["model.estimator=nano"], "model.estimator (= 'nano') is unknown"),
        (["model.estimator=naive"], "model.embedding_channels (= 1) must be 0"),
        (["model.embedding_channels=0"], "model.embedding_channels (= 0) must be at least 1"),
        (["data=speech"], "model.kind glow is for densities of images; choose data=images, cifar10 or svhn."),
        (["loss=mse"], "leave loss out: ~loss."),
        (["trainer=ddp", "data.batch_size=5"], "data.batch_size (= 5) is that of all processes together"),
    ],
)
def test_what_cannot_be_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(UserError) as error:
        parsed(*overrides)
    assert said in str(error.value)
