"""One layer: dilated convolution, input mixin, activation, residual and head output.

Source: WaveNet computation walkthrough, "Layer Computation", steps 1 to 7.
Letters: B batch, C channels, D condition size, H head channels, L samples, K kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor, nn

from namexp.architectures.wavenet import FILM_SITES, LayerArraySpec, LayerSpec
from namexp.models.wavenet.activations import build_activation, current_spec
from namexp.models.wavenet.film import Film


class Layer(nn.Module):
    """A layer of ``array``. All convolutions are valid: time is aligned at the end."""

    def __init__(self, spec: LayerSpec, array: LayerArraySpec) -> None:
        super().__init__()
        C, B, D = array.channels, array.bottleneck, array.condition_size
        mid = array.mid_channels(spec)
        self._spec = spec
        self.conv = nn.Conv1d(C, mid, spec.kernel_size, dilation=spec.dilation, groups=array.groups_input)
        self.input_mixer = nn.Conv1d(D, mid, 1, bias=False, groups=array.groups_input_mixin)
        self.layer1x1 = nn.Conv1d(B, C, 1, groups=array.layer1x1.groups) if array.layer1x1.active else None
        head1x1 = array.head1x1
        self.head1x1 = (
            nn.Conv1d(B, head1x1.out_channels, 1, groups=head1x1.groups) if head1x1.active else None
        )
        self.activation = build_activation(spec.activation)
        self.secondary_activation = (
            build_activation(spec.secondary_activation) if spec.secondary_activation else None
        )
        self.films = nn.ModuleDict(
            {
                site: Film(array.film(site), condition_size=D, channels=array.film_dim(site, spec))
                for site in FILM_SITES
                if array.film(site).active
            }
        )

    @property
    def spec(self) -> LayerSpec:
        """Its description, with learned slopes as they are now."""
        secondary = self._spec.secondary_activation
        if secondary is not None and self.secondary_activation is not None:
            secondary = current_spec(secondary, self.secondary_activation)
        return replace(
            self._spec,
            activation=current_spec(self._spec.activation, self.activation),
            secondary_activation=secondary,
        )

    def forward(
        self, x: Tensor, condition: Tensor, *, head_length: int, residual: bool = True
    ) -> tuple[Tensor | None, Tensor]:
        """Compute the residual and the head output.

        Args:
            x: (B, C, L).
            condition: (B, D, at least L - (K - 1) * dilation), aligned at the end.
            head_length: samples of the head output that the array needs.
            residual: False where nothing uses it (the last layer of all).

        Returns:
            (B, C, L - (K - 1) * dilation) or None, and (B, H, head_length).
        """
        u = self._film("conv_post_film", self.conv(self._film("conv_pre_film", x, condition)), condition)
        c = condition[..., -u.shape[-1] :]
        m = self.input_mixer(self._film("input_mixin_pre_film", c, c))
        z = self._film("activation_pre_film", u + self._film("input_mixin_post_film", m, c), c)
        a = self._film("activation_post_film", self.activate(z), c)
        h = a[..., -head_length:]
        if self.head1x1 is not None:
            h = self._film("head1x1_post_film", self.head1x1(h), c)
        if not residual:
            return None, h
        r = a if self.layer1x1 is None else self.layer1x1(a)
        r = self._film("layer1x1_post_film", r, c)
        return x[..., -r.shape[-1] :] + r, h

    def _film(self, site: str, x: Tensor, condition: Tensor) -> Tensor:
        return self.films[site](x, condition) if site in self.films else x

    def activate(self, z: Tensor) -> Tensor:
        """(B, C, L), or (B, 2 C, L) where there is a gate, to (B, C, L)."""
        if self.secondary_activation is None:
            return self.activation(z)
        x1, x2 = z.chunk(2, dim=1)  # the first half is the primary's
        gate = self.secondary_activation(x2)
        if self._spec.gating_mode == "gated":
            return self.activation(x1) * gate
        return gate * self.activation(x1) + (1.0 - gate) * x1

    def convs(self) -> Iterator[nn.Conv1d]:
        """Its convolutions in the order of a file's weights."""
        yield self.conv
        yield self.input_mixer
        if self.layer1x1 is not None:
            yield self.layer1x1
        if self.head1x1 is not None:
            yield self.head1x1
        for film in self.films.values():  # built in the order of FILM_SITES
            assert isinstance(film, Film)
            yield film.conv
