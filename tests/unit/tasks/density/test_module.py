"""Steps of a density, its data, its weights in files, and what is shown of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.engine.callbacks.counting import Counting
from namexp.engine.checkpoint import load_weights
from namexp.engine.module import Optimisation
from namexp.errors import UserError
from namexp.models.glow import Glow
from namexp.ranks.place import ALONE
from namexp.tasks.density.data.items import quantised
from namexp.tasks.density.data.module import ImageDataModule
from namexp.tasks.density.data.pictures import load_pictures
from namexp.tasks.density.module import DensityModule
from namexp.tasks.density.networks import bits_of, build_network
from namexp.tasks.density.showing.sheets import ENLARGED, GAP, Sheet, draw_sheets, laid_out
from namexp.tasks.density.weights.loading import load_density, start_from
from namexp.tasks.density.weights.single import Density, write_density
from namexp.tasks.known import doors_at, parse_experiment

TINY = (
    "model=density_tiny", "model.steps=2", "model.hidden_channels=4", "data.batch_size=8",
    "data.init_batches=2", "data.max_train_images=32", "data.max_validation_images=10",
)  # fmt: skip


def configured(*overrides: str) -> Any:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return parse_experiment(compose("train", [*TINY, *overrides]))


def data_of(config: Any, rank: int = 0, world_size: int = 1) -> ImageDataModule:
    place = replace(ALONE, rank=rank, world_size=world_size)
    return ImageDataModule(load_pictures(config.data), config.data, seed=config.seed, place=place)


def fitted(config: Any, network: Glow, **trainer: Any) -> DensityModule:
    data = data_of(config)
    module = DensityModule(network, Optimisation.of(config), first_images=data.first_images)
    pl.Trainer(
        **{
            "accelerator": "cpu", "max_epochs": 1, "logger": False, "callbacks": [Counting()],
            "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
            "num_sanity_val_steps": 0, **trainer,
        }
    ).fit(module, datamodule=data)  # fmt: skip
    return module


# --- data -------------------------------------------------------------------------------------------


def test_processes_share_every_batch() -> None:
    config = configured()
    whole = list(data_of(config).train_dataloader())
    parts = [list(data_of(config, rank, 2).train_dataloader()) for rank in (0, 1)]
    assert len(whole) == len(parts[0]) == 4
    for batch, one, other in zip(whole, *parts, strict=True):
        assert torch.equal(batch, torch.cat([one, other]))


def test_the_first_images_are_the_first_batches_for_everyone() -> None:
    config = configured()
    first = data_of(config, 1, 2).first_images()
    assert torch.equal(first, torch.cat(list(data_of(config).train_dataloader())[:2]))


def test_an_epoch_counted_in_batches_goes_through_the_images_again() -> None:
    config = configured()
    data = ImageDataModule(load_pictures(config.data), config.data, seed=1, place=ALONE, num_batches=6)
    batches = list(data.train_dataloader())
    assert data.num_batches == len(batches) == 6
    assert not torch.equal(batches[0], batches[4])


def test_the_digest_is_of_what_is_seen() -> None:
    one, fewer = load_pictures(configured().data), load_pictures(configured("data.max_train_images=31").data)
    assert one.sha256 == load_pictures(configured("data.shift=0").data).sha256
    assert one.sha256["train"] != fewer.sha256["train"]
    assert one.sha256["validation"] == fewer.sha256["validation"]
    assert one.facts == {"image_set": "embedded", "train_images": 32, "validation_images": 10}


# --- steps ------------------------------------------------------------------------------------------


def test_the_first_images_set_the_actnorms_before_the_first_step() -> None:
    config = configured()
    network = build_network(config.model.spec, seed=0)
    expected = build_network(config.model.spec, seed=0)
    fitted(configured("optimizer.lr=1e-30", "optimizer.weight_decay=0"), network)
    expected.initialise(data_of(config).first_images().float())
    for (name, value), other in zip(
        network.state_dict().items(), expected.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(value, other, rtol=0, atol=1e-28, msg=name)  # the steps are that small


def test_weights_that_were_loaded_keep_their_actnorms() -> None:
    config = configured("optimizer.lr=1e-30", "optimizer.weight_decay=0")
    network = build_network(config.model.spec, seed=0)
    network.initialised.fill_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fitted(config, network)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-28, msg=name)


def test_a_validation_is_the_mean_over_images_of_any_batches() -> None:
    config = configured()
    found = []
    for size in (3, 10):
        network = build_network(config.model.spec, seed=0)
        network.initialise(data_of(config).first_images().float())
        module = fitted(configured(f"data.validation_batch_size={size}"), network)
        found.append(float(module.trainer.callback_metrics["bpd"]))
        expected = bits_of(network, data_of(config).val_dataloader())
        assert len(expected) == 10
        assert found[-1] == pytest.approx(float(expected.mean()), rel=1e-6)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_float64_is_trained_in_float64() -> None:
    config = configured()
    module = fitted(config, build_network(config.model.spec, seed=0), precision="64-true")
    assert {p.dtype for p in module.network.parameters()} == {torch.float64}


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    config = configured()
    network = build_network(config.model.spec, seed=0)
    network.initialised.fill_(True)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match=r"batch 1: the loss is not finite \(no epoch was finished before\)"):
        fitted(config, network)


# --- weights ----------------------------------------------------------------------------------------


def test_a_file_gives_back_the_network_and_its_task(tmp_path: Path) -> None:
    network = build_network(configured().model.spec, seed=3)
    network.initialised.fill_(True)
    path = tmp_path / "model.safetensors"
    write_density(path, Density(network, tmp_path, {"seed": 3}))
    found = load_density(path)
    assert found.about == {"seed": 3}
    assert found.network.spec == network.spec
    assert all(
        torch.equal(value, found.network.state_dict()[name]) for name, value in network.state_dict().items()
    )
    assert doors_at(path).models == "a density of images"


def test_weights_of_another_network_are_refused_with_both_shapes() -> None:
    spec = configured().model.spec
    other = build_network(replace(spec, hidden_channels=5), seed=0)
    with pytest.raises(UserError, match=r"\d+ weights .* levels\.0.*\(1, 5, 1, 1\) for \(1, 4, 1, 1\)"):
        load_weights(build_network(spec, seed=0), other.state_dict())
    with pytest.raises(UserError, match="missing for"):
        load_weights(build_network(spec, seed=0), {})


def test_a_start_from_another_network_is_refused(tmp_path: Path) -> None:
    spec, path = configured().model.spec, tmp_path / "model.safetensors"
    network = build_network(spec, seed=3)
    network.initialised.fill_(True)
    write_density(path, Density(network, tmp_path, {}))
    taken = build_network(spec, seed=0)
    digest = start_from(path, taken)
    assert len(digest) == 64
    assert bool(taken.initialised)
    for name, value in network.state_dict().items():
        assert torch.equal(taken.state_dict()[name], value), name
    with pytest.raises(UserError, match="is another Glow than model says: steps 2 for 3;"):
        start_from(path, build_network(replace(spec, steps=3), seed=0))


# --- what is shown ----------------------------------------------------------------------------------


def test_sheets_show_samples_reconstructions_and_ways() -> None:
    config = configured()
    data = data_of(config)
    network = build_network(config.model.spec, seed=0)
    network.initialise(data.first_images().float())
    sheets = {sheet.stem: sheet for sheet in draw_sheets(network, data, seed=0)}
    assert list(sheets) == ["samples_060", "samples_080", "samples_100", "reconstructions", "interpolation"]
    originals = quantised(data.validation_images(10))
    shown = sheets["reconstructions"].images
    np.testing.assert_array_equal(shown[:8], originals[:8])
    assert np.abs(shown[8:].astype(int) - originals[:8]).max() <= 1
    assert sheets["reconstructions"].figures["largest_error_in_grey_levels"] < 0.01
    ways = sheets["interpolation"].images
    assert np.abs(ways[0].astype(int) - originals[0]).max() <= 1
    assert np.abs(ways[7].astype(int) - originals[1]).max() <= 1
    assert np.abs(ways[8].astype(int) - originals[2]).max() <= 1


def test_a_single_validation_image_has_no_way_to_another() -> None:
    config = configured("data.max_validation_images=1")
    sheets = draw_sheets(build_network(config.model.spec, seed=0), data_of(config), seed=0)
    assert [sheet.stem for sheet in sheets][3:] == ["reconstructions"]


def test_images_are_laid_out_row_by_row() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 3, 32, 32), np.uint8)
    sheet = Sheet("a", "A", "", images, 2, {})
    pixels = laid_out(sheet.images, sheet.columns)
    cell = 32 * ENLARGED + GAP
    assert pixels.shape == (2 * cell + GAP, 2 * cell + GAP, 3)
    for place, value in (((0, 0), 0), ((0, 1), 1), ((1, 0), 2), ((1, 1), 255)):
        row, column = (GAP + cell * i for i in place)
        assert (pixels[row : row + 32 * ENLARGED, column : column + 32 * ENLARGED] == value).all()
