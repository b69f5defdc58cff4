"""neural-amp-modeler in a comparison: built as its own trainers build it. Cannot import namexp."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from nam.models.wavenet import PackedWaveNet, _slimmable
from nam.train.core import _get_packed_model_config
from nam.train.lightning_module import LightningModule, PackedLightningModule, PackedMaskCallback
from torch import Tensor

from benchmarking.side import Side, serve_side

# It has shipped no A1 since 0.13: the architecture and the recipe of its 2026-04 trainer.
A1_DILATIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
A1 = {
    "net": {
        "name": "WaveNet",
        "config": {
            "layers_configs": [
                {
                    "input_size": 1, "condition_size": 1, "channels": 16, "kernel_size": 3,
                    "dilations": A1_DILATIONS, "activation": "Tanh",
                    "head": {"out_channels": 8, "kernel_size": 1, "bias": False},
                },
                {
                    "input_size": 16, "condition_size": 1, "channels": 8, "kernel_size": 3,
                    "dilations": A1_DILATIONS, "activation": "Tanh",
                    "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
                },
            ],
            "head_scale": 0.02,
        },
    },
    "loss": {"val_loss": "mse", "pre_emph_mrstft_weight": 2e-4, "pre_emph_mrstft_coef": 0.85},
    "optimizer": {"lr": 0.004},
    "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.993}},
}  # fmt: skip

# Its example wavenet_slimmable.json with the widths of namexp's model=slimmable.
SLIMMABLE = {
    "net": {
        "name": "WaveNet",
        "config": {
            "layers_configs": [
                {
                    "input_size": 1, "condition_size": 1, "channels": 12, "kernel_size": 6,
                    "dilations": [1, 5, 29, 97, 227] * 3, "activation": "LeakyReLU",
                    "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
                    "slimmable": {
                        "method": "slice_channels_uniform",
                        "kwargs": {
                            "allowed_channels": [3, 6, 12], "boosting": True,
                            "init_strategy": "smallest_and_zeros",
                        },
                    },
                }
            ],
            "head_scale": 0.01,
        },
    },
    "optimizer": {"lr": 0.004},
    "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.993}},
}  # fmt: skip


def model_config(model: str) -> dict[str, Any]:
    """The model config of its trainer; ``pack3`` is its A2 with a third size."""
    if model in ("a1", "slimmable"):
        return deepcopy({"a1": A1, "slimmable": SLIMMABLE}[model])
    config = _get_packed_model_config()
    if model == "pack3":
        small, large = config["net"]["config"]["submodels"]
        middle = deepcopy(small)
        middle["name"] = "channels_5"
        middle["config"]["layers_configs"][0]["channels"] = 5
        config["net"]["config"]["submodels"] = [small, middle, large]
    return config


def num_widths(config: dict[str, Any]) -> int:
    """How many widths a slimmable network is trained at; 1 for every other."""
    arrays = config["net"]["config"].get("layers_configs", [{}])
    slimmable = arrays[0].get("slimmable")
    return len(slimmable["kwargs"]["allowed_channels"]) if slimmable else 1


class PeerSide(Side):
    """Its LightningModule, that module's optimiser, and for a pack the callback with the masks."""

    def build(self, model: str, weights: list[np.ndarray], device: torch.device) -> None:
        """As ``nam.train.full.main`` does; Lightning's trainer is left out."""
        config = model_config(model)
        packed = config["net"]["name"] == "PackedWaveNet"
        self._num_widths = num_widths(config)
        kind = PackedLightningModule if packed else LightningModule
        self._module = kind.init_from_config(config)
        take_weights(self._module.net, weights)
        self._module.to(device)
        self._masks = PackedMaskCallback() if packed else None
        _slimmable._random = self  # whose uniform() it calls once per forward pass of a slimmable network
        self._optimizer = self._module.configure_optimizers()["optimizer"]

    @property
    def num_widths(self) -> int:
        """Of the network."""
        return self._num_widths

    def uniform(self, low: float, high: float) -> float:
        """The number between 0 and 1 that stands for the width of this step."""
        del low, high
        return (self._width + 0.5) / self._num_widths

    def train_on(self, inputs: Tensor, targets: Tensor, width: int) -> Tensor:
        """The hooks of the module and of the callback in the order in which Lightning calls them."""
        self._width = width
        losses: list[Tensor] = []

        def closure() -> Tensor:
            loss = self._module.training_step((inputs, targets), self._step)
            if self._masks is not None:
                self._masks.on_before_zero_grad(None, self._module, self._optimizer)
            self._optimizer.zero_grad()
            loss.backward()
            losses.append(loss.detach())
            return loss

        self._module.optimizer_step(0, self._step, self._optimizer, closure)
        return losses[0]

    def play(self, samples: Tensor) -> Tensor:
        """The whole recording at once, as its plots do."""
        with torch.no_grad():
            return torch.atleast_2d(self._module.eval()(samples))


def take_weights(net: Any, weights: list[np.ndarray]) -> None:
    """Put the weights of .nam files into a network or into the submodels of a pack."""
    tensors = [torch.from_numpy(own) for own in weights]
    if not isinstance(net, PackedWaveNet):
        (own,) = tensors
        taken = net.import_weights(own)
        assert taken == own.numel(), f"took {taken} of {own.numel()} weights"
        return
    for i, own in enumerate(tensors):
        submodel = net.extract_submodel(i)
        submodel.import_weights(own)
        net.import_submodel(i, submodel)


if __name__ == "__main__":
    serve_side(PeerSide())
