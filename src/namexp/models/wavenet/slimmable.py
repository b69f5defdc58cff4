"""The channel-slicing WaveNet: every smaller width is a slice of the widest.

Source: neural-amp-modeler's slimmable WaveNet; Yu et al. 2019, arXiv:1812.08928.
Letters: B batch, S widths, L samples, R receptive field.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from namexp.architectures.slimming import check_sliceable, sliced_spec, width_suffixes
from namexp.architectures.wavenet import WaveNetSpec
from namexp.models.network import Network
from namexp.models.wavenet.wavenet import WaveNet

Slice = tuple[slice, ...]


class SlimmableWaveNet(Network):
    """Row i of its output is the network at the i-th allowed width.

    In training with ``size_sampling="uniform"`` one width is drawn per step, as a pure function of
    seed and step, and the output has one row. With boosting a width learns only what it adds to the
    next smaller one.
    """

    def __init__(
        self,
        spec: WaveNetSpec,
        *,
        boosting: bool = False,
        init_strategy: str = "default",
        size_sampling: str = "uniform",
        seed: int = 0,
        start: Callable[[WaveNet], None] | None = None,
    ) -> None:
        """Build and initialise.

        Args:
            spec: a WaveNet with one layer array that is ``slimmable``.
            boosting: gradients reach only the rows and columns that a width adds.
            init_strategy: ``default``; ``smallest_and_zeros`` (the smallest width like a network of its own,
                the rest zero, and wider ones stay so: without activations there is no gradient of weights,
                and without weights none of activations); ``channel_causal`` (a width's channels ignore
                those that wider ones add); ``grown`` (the head does too: every width begins as the smallest
                one, and its own channels have something to give from there).
            size_sampling: ``uniform`` or ``all`` (every width on every batch).
            seed: of the drawn widths.
            start: draws the first weights of a WaveNet; None keeps torch's.

        Raises:
            UserError: the network uses a feature that cannot be sliced.
        """
        super().__init__()
        check_sliceable(spec, "")
        assert spec.slimmable is not None, "a slimmable WaveNet has a slimmable layer array"
        self.widths = spec.slimmable.widths(spec.layer_arrays[0].channels)
        self.wavenet = WaveNet(spec)
        if start is not None:
            start(self.wavenet)
        self.boosting, self.size_sampling, self.seed = boosting, size_sampling, seed
        self._drawn = len(self.widths) - 1
        self._skeletons: dict[int, WaveNet] = {}
        if init_strategy == "smallest_and_zeros":
            self._init_smallest_and_zeros(start)
        elif init_strategy in ("channel_causal", "grown"):
            self._init_channel_causal()
            if init_strategy == "grown":
                self._silence_added_channels()

    @property
    def spec(self) -> WaveNetSpec:
        """Its description at full width."""
        return self.wavenet.spec

    @property
    def row_suffixes(self) -> tuple[str, ...]:
        """``_channels_3``, ``_channels_12``, ..."""
        return width_suffixes(self.widths)

    @property
    def row_names(self) -> tuple[str, ...]:
        """The widths in words."""
        return tuple(f"{width} channels" for width in self.widths)

    def begin_step(self, step: int) -> None:
        """Draw the width of training step ``step``; all are equally likely."""
        self._drawn = random.Random(f"{self.seed}/{step}").randrange(len(self.widths))

    @property
    def variant(self) -> Hashable:
        """The place of the drawn width; 0 where all widths are computed."""
        return self._drawn if self._draws else 0

    @property
    def _draws(self) -> bool:
        return self.training and self.size_sampling == "uniform"

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) to (B, S, L - R + 1); in training with drawn widths (B, 1, L - R + 1)."""
        if self._draws:
            return self.at_width(x, self._drawn)
        return torch.cat([self.at_width(x, i) for i in range(len(self.widths))], dim=1)

    def at_width(self, x: Tensor, index: int) -> Tensor:
        """(B, L) to (B, 1, L - R + 1) with the ``index``-th allowed width."""
        tensors = {name: self._cut(name, p, index) for name, p in self.wavenet.named_parameters()}
        slim = self._skeleton(index)
        return torch.func.functional_call(slim, tensors, (x,))

    @property
    def whole(self) -> WaveNet:
        """The WaveNet of full width."""
        return self.wavenet

    def alone(self, row: int) -> WaveNet:
        """An ordinary WaveNet with the weights of the ``row``-th width."""
        return self.slimmed(row)

    def slimmed(self, index: int) -> WaveNet:
        """An ordinary WaveNet with the weights of the ``index``-th width."""
        slim = WaveNet(sliced_spec(self.spec, self.widths[index]))
        with torch.no_grad():
            for name, parameter in self.wavenet.named_parameters():
                slim.get_parameter(name).copy_(parameter[self._slice(name, parameter, index)])
        return slim

    def _skeleton(self, index: int) -> WaveNet:
        """A WaveNet of the right shape, whose own weights are never used."""
        if index not in self._skeletons:
            with torch.device("meta"):
                slim = WaveNet(sliced_spec(self.wavenet.spec, self.widths[index]))
            self._skeletons[index] = slim
        slim = self._skeletons[index]
        slim.head_scale = self.wavenet.head_scale
        return slim

    # --- slices -----------------------------------------------------------------------------------

    def _slice(self, name: str, parameter: Tensor, index: int) -> Slice:
        """Which part of a parameter the ``index``-th width uses.

        A dimension that grows with the channels C is cut to the width (a paired convolution's 2C
        rows to the first 2 widths, as the C++ runtime does); input, condition and output stay.
        """
        channels, width = self.widths[-1], self.widths[index]
        rows, columns = _growth(name)
        cuts = []
        for size, grows in zip(parameter.shape[:2], (rows, columns), strict=False):
            cuts.append(slice(0, size * width // channels if grows else size))
        return tuple(cuts)

    def _cut(self, name: str, parameter: nn.Parameter, index: int) -> Tensor:
        inner = self._slice(name, parameter, index)
        if not (self.boosting and self.training and index > 0):
            return parameter[inner]
        # The part that the next smaller width has takes no gradient here.
        before = self._slice(name, parameter, index - 1)
        mask = torch.ones_like(parameter[inner], dtype=torch.bool)
        mask[before] = False
        cut = parameter[inner]
        return torch.where(mask, cut, cut.detach())

    @contextmanager
    def parameter_update(self) -> Iterator[None]:
        """With boosting, undo what momentum and weight decay do to the part that must not learn."""
        if not self.boosting or self.size_sampling != "uniform" or self._drawn == 0:
            yield
            return
        named = list(self.wavenet.named_parameters())
        slices = [self._slice(name, p, self._drawn - 1) for name, p in named]
        kept = [p.detach()[s].clone() for (_, p), s in zip(named, slices, strict=True)]
        yield
        with torch.no_grad():
            for (_, parameter), inner, values in zip(named, slices, kept, strict=True):
                parameter[inner] = values

    # --- initialisation ---------------------------------------------------------------------------

    @torch.no_grad()
    def _init_smallest_and_zeros(self, start: Callable[[WaveNet], None] | None) -> None:
        small = WaveNet(sliced_spec(self.spec, self.widths[0]))
        if start is not None:
            start(small)
        for name, parameter in self.wavenet.named_parameters():
            if "activation" in name:
                continue
            block = self._slice(name, parameter, 0)
            parameter.zero_()
            parameter[block] = small.get_parameter(name)

    @torch.no_grad()
    def _init_channel_causal(self) -> None:
        for name, parameter in self.wavenet.named_parameters():
            if _growth(name) != (True, True):
                continue
            for index in range(len(self.widths) - 1):
                rows, columns = self._slice(name, parameter, index)
                parameter[rows, columns.stop :] = 0.0

    @torch.no_grad()
    def _silence_added_channels(self) -> None:
        for name, parameter in self.wavenet.named_parameters():
            if _growth(name) == (False, True):
                _, columns = self._slice(name, parameter, 0)
                parameter[:, columns.stop :] = 0.0


def _growth(name: str) -> tuple[bool, bool]:
    """Whether (rows, columns) of the parameter ``name`` grow with the channels."""
    module = name.rsplit(".", 2)[-2]
    bias = name.endswith(".bias")
    return {
        "rechannel": (True, False),
        "conv": (True, not bias),
        "input_mixer": (True, False),
        "layer1x1": (True, not bias),
        "head_rechannel": (False, not bias),
    }.get(module, (False, False))
