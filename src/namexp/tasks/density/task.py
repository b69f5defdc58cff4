"""Learning the density of images: the seam to the engine, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.engine.module import Optimisation
from namexp.engine.task import Opening, Scores, Shown, Task
from namexp.engine.training import Row, Training
from namexp.models.glow import Glow
from namexp.ranks.place import ALONE, Place
from namexp.runs.summaries import about_training
from namexp.schema.initial import Initial
from namexp.tasks.density.config.whole import DensityConfig
from namexp.tasks.density.data.module import ImageDataModule
from namexp.tasks.density.data.pictures import Pictures, load_pictures
from namexp.tasks.density.layout import MODEL, DensityLayout
from namexp.tasks.density.module import DensityModule
from namexp.tasks.density.networks import build_network
from namexp.tasks.density.scoring import score
from namexp.tasks.density.showing.declared import page
from namexp.tasks.density.showing.sheets import declared_sheets, write_sheet
from namexp.tasks.density.weights.exporting import save_density
from namexp.tasks.density.weights.loading import start_from
from namexp.tasks.density.weights.single import Density as Stored

Learning = Training[DensityConfig, Pictures]


class Density(Task[DensityConfig, Pictures]):
    """Glows of images; out comes ``model.safetensors``."""

    name = "density"
    products = (MODEL,)

    def rows(self, config: DensityConfig) -> tuple[Row, ...]:
        """The network; for a comparison its parameters count."""
        spec = config.model.spec
        facts = {"channels": spec.hidden_channels, "parameters": spec.num_parameters}
        return (Row("glow", "", facts),)

    def facts(self, config: DensityConfig) -> Mapping[str, Any]:
        """What an image costs in arithmetic."""
        return {"macs_per_image": config.model.spec.macs_per_image}

    def page(self, config: DensityConfig) -> Mapping[str, Any]:
        """Bits over epochs, and their parts."""
        del config
        return page()

    def load(self, config: DensityConfig) -> Pictures:
        """The images."""
        return load_pictures(config.data)

    def network(self, config: DensityConfig, material: Pictures) -> Glow:
        """What the model group describes; the first images set its actnorms when the training begins."""
        del material
        return build_network(config.model.spec, seed=config.seed)

    def start_from(self, initial: Initial, network: Any, material: Pictures) -> str:
        """Weights of a run, a checkpoint or a ``model.safetensors``."""
        del material
        return start_from(Path(initial.path), network)

    def opening(self, config: DensityConfig, material: Pictures) -> Opening:
        """The network and how much there is to learn from."""
        spec = config.model.spec
        embedded = "no data.dir is given: training on the embedded set (procedural images, no photographs)"
        lines = [
            *([embedded] if config.data.embedded else []),
            f"glow ({spec.estimator}): {spec.num_parameters:,} parameters, {spec.levels} levels of "
            f"{spec.steps} steps, {spec.macs_per_image / 1e9:.2f} GMAC an image",
            f"{material.num_train} images to train on, {material.num_validation} to validate",
        ]
        return Opening(lines)

    def module(self, training: Learning) -> DensityModule:
        """Steps of batches of images."""
        return DensityModule(
            _network(training),
            Optimisation.of(training.config),
            first_images=self.data(training, ALONE).first_images,
        )

    def data(self, training: Learning, place: Place) -> ImageDataModule:
        """Batches of images."""
        config = training.config
        return ImageDataModule(
            training.material,
            config.data,
            seed=config.seed,
            place=place,
            num_batches=config.trainer.limit_train_batches,
        )

    def score(self, training: Learning) -> Scores:
        """Every validation image, by the best weights; and what the page shows."""
        scores = score(_network(training), self.data(training, ALONE), seed=training.config.seed)
        sheets = declared_sheets(scores.shown, training.config.callbacks)
        return scores._replace(facts={**scores.facts, "clips": sheets})

    def export(self, training: Learning, summary: Mapping[str, Any]) -> None:
        """``model.safetensors``, read back and compared."""
        layout = DensityLayout(training.layout.root)
        save_density(layout.model, Stored(_network(training), layout.root, about_training(summary)))

    def show(self, training: Learning, scores: Scores, summary: Mapping[str, Any]) -> Shown:
        """The sheets."""
        del summary
        if not training.config.callbacks.plots:
            return Shown()
        root = training.layout.root
        return Shown(pictures={f"pictures/{sheet.stem}": write_sheet(root, sheet) for sheet in scores.shown})


def _network(training: Learning) -> Glow:
    assert isinstance(training.network, Glow)
    return training.network
