"""Whatever plays: a ``.nam``, a checkpoint, or a run directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from namexp.architectures.limits import check_patience
from namexp.engine.checkpoint import load_checkpoint, load_network_state, load_weights
from namexp.errors import UserError
from namexp.models.network import Network
from namexp.models.streaming import play, player
from namexp.nam.model import read_nam
from namexp.reading.damage import content_of
from namexp.schema.fields import as_integer
from namexp.tasks.capture.config.whole import parse_model
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.weights.stored import check_description, load_stored, rebuild


@dataclass(frozen=True)
class Playable:
    """A network that plays at the level of its recording.

    Attributes:
        network: in evaluation mode; row i of its output is size i.
        sample_rate: Hz; None where unknown.
        level: what its output is multiplied by (a checkpoint plays at the level it was trained at).
    """

    network: Network
    sample_rate: float | None
    level: float = 1.0

    @property
    def num_sizes(self) -> int:
        """How many sizes the quality knob chooses from."""
        return len(self.network.row_suffixes)

    def selected(self, slim: float) -> int:
        """The size that plays at ``slim``, 0 to 1, as the C++ runtime chooses.

        Raises:
            UserError: there is only one size, or ``slim`` lies outside 0 to 1.
        """
        if not 0.0 <= slim <= 1.0:
            raise UserError(f"--slim (= {slim:g}) must lie between 0 and 1.")
        if self.num_sizes == 1:
            raise UserError(f"--slim (= {slim:g}): the model has only one size; leave --slim out.")
        return self.network.selected(slim)

    def play(self, samples: Tensor) -> Tensor:
        """(L,) samples from silence to (S, L)."""
        return play(self.network, samples[None])[0] * self.level

    def player(self) -> Callable[[Tensor], Tensor]:
        """What plays audio that comes in blocks: (L,) samples to (S, L), each time the next ones."""
        blocks = player(self.network, 1)
        return lambda samples: blocks.advance(samples[None])[0] * self.level

    def at_size(self, index: int) -> Playable:
        """Only the size ``index``, which costs no more than it must."""
        return replace(self, network=self.network.alone(index).eval())


def load_playable(path: Path) -> Playable:
    """Open ``path``.

    Raises:
        UserError: it is none of the three, or damaged.
    """
    if path.is_dir():
        run = CaptureLayout(path)
        if run.nam.exists():
            return load_playable(run.nam)
        return _from_run(run)
    if not path.exists():
        raise UserError(f"{path}: no such file; give a .nam, a checkpoint or a run directory.")
    if path.suffix == ".ckpt":
        return _from_checkpoint(path)
    model = read_nam(path)
    try:
        check_patience(model.network.spec)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return Playable(model.network, model.sample_rate)


def _from_checkpoint(path: Path) -> Playable:
    content = load_checkpoint(path)
    about = content["namexp"]
    with content_of(path):
        check_description(about)
        plan = parse_model(about["model"])
        network = rebuild(about, plan)
        index = about.get("submodel_index")
        if index is not None:
            network = network.members[as_integer(index, "namexp.submodel_index", minimum=0)]
            load_weights(network, content["state_dict"])
        else:
            load_network_state(network, content)
    return Playable(network.float().eval(), about["sample_rate"], 1.0 / about["target_scale"])


def _from_run(run: CaptureLayout) -> Playable:
    stored = load_stored(run)
    return Playable(stored.network, stored.about["sample_rate"], 1.0 / stored.about["target_scale"])
