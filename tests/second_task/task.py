"""The second task: y = a x + b and the scatter around it, by two optimisers that take turns.

Letters: B batch, N points.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from namexp.data.order import EpochOrder
from namexp.engine.module import Optimisation, TaskModule
from namexp.engine.task import Opening, Scores, Shown, Task, TaskData
from namexp.engine.training import Material, Row, Training
from namexp.errors import UserError
from namexp.ranks.place import Place
from namexp.ranks.shared import total
from namexp.runs.files import write_json
from namexp.tracking.tracker import Clip
from tests.second_task.config import LineConfig


@dataclass(frozen=True)
class Points(Material):
    """(2, N) x and y; the last quarter validates."""

    points: np.ndarray
    sha256: dict[str, list[str]]
    source: str

    @property
    def facts(self) -> dict[str, Any]:
        """How many there are."""
        return {"num_points": int(self.points.shape[1])}

    def part(self, *, train: bool) -> Tensor:
        """(2, N) float32."""
        border = self.points.shape[1] * 3 // 4
        part = self.points[:, :border] if train else self.points[:, border:]
        return torch.from_numpy(part.astype(np.float32))


class LineNetwork(nn.Module):
    """The line and the logarithm of the scatter."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.line = nn.Parameter(torch.tensor([slope, 0.0]))
        self.log_scatter = nn.Parameter(torch.zeros(1))

    def log_likelihood(self, points: Tensor) -> Tensor:
        """(2, B) to (B,) in nats."""
        error = points[1] - (self.line[0] * points[0] + self.line[1])
        scaled = error * torch.exp(-self.log_scatter)
        return -0.5 * scaled**2 - self.log_scatter - 0.5 * math.log(2 * math.pi)


class LineModule(TaskModule):
    """A step of the line, then one of the scatter with the line that it has by then."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Two, each with an optimiser of its own."""
        return {"line": [self.network.line], "scatter": [self.network.log_scatter]}

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """One batch, of which several processes have a part each."""
        del batch_idx
        for group in ("line", "scatter"):
            loss = -self.network.log_likelihood(batch).mean()
            self.learn(group, loss)
            if self.row_is_due:
                self.tell(f"train/nll_{group}", loss.detach())
        if self.row_is_due:
            self.tell("train/loss", total(loss.detach()[None])[0])

    def validate(self, batch: Tensor) -> Tensor:
        """(2, B)."""
        return batch

    def validated(self, found: list[Tensor]) -> dict[str, Tensor]:
        """Both metrics of all points."""
        return _measured(self.network, torch.cat(found, dim=1))


def _measured(network: LineNetwork, points: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        ll = network.log_likelihood(points).double().mean()[None]
        error = points[1] - (network.line[0] * points[0] + network.line[1])
    return {"val_loss": -ll, "LL": ll, "RMSE": error.double().square().mean().sqrt()[None]}


class PointsData(TaskData):
    """Batches of points."""

    def __init__(self, points: Points, config: LineConfig, place: Place) -> None:
        super().__init__()
        self._train, self._validation = (TensorDataset(points.part(train=t).T) for t in (True, False))
        self.order = EpochOrder(
            len(self._train), batch_size=config.data.batch_size, seed=config.seed, rank=place.rank,
            world_size=place.world_size, called="points",
        )  # fmt: skip

    @property
    def num_batches(self) -> int:
        """Of an epoch."""
        return len(self.order)

    def train_dataloader(self) -> DataLoader[Any]:
        """(2, B) each."""
        return DataLoader(self._train, batch_sampler=self.order, collate_fn=_beside)

    def val_dataloader(self) -> DataLoader[Any]:
        """(2, B) each."""
        return DataLoader(self._validation, batch_size=40, collate_fn=_beside)


def _beside(points: list[tuple[Tensor]]) -> Tensor:
    return torch.stack([point for (point,) in points], dim=1)


class Line(Task[LineConfig, Points]):
    """Everything that the engine asks for, and nothing more."""

    name = "line"
    products = ("line.json",)

    def rows(self, config: LineConfig) -> tuple[Row, ...]:
        """There is one line, and what it costs is known."""
        del config
        return (Row("line", "", {"parameters": 3, "macs_per_sample": 1}),)

    def load(self, config: LineConfig) -> Points:
        """Draw or read."""
        data = config.data
        if data.file is None:
            random = np.random.RandomState(data.seed)
            x = random.uniform(-1, 1, data.num_points)
            points = np.stack([x, 2 * x - 1 + data.noise * random.standard_normal(data.num_points)])
        else:
            try:
                points = np.load(data.file)
            except OSError as error:
                raise UserError(f"data.file (= {data.file}): cannot be read: {error}.") from None
        digest = hashlib.sha256(points.tobytes()).hexdigest()
        return Points(points, {"points": [digest]}, data.file or "data.seed")

    def network(self, config: LineConfig, material: Points) -> LineNetwork:
        """It begins where the config says."""
        del material
        return LineNetwork(config.model.slope)

    def opening(self, config: LineConfig, material: Points) -> Opening:
        """How many points."""
        return Opening([f"{material.points.shape[1]} points"], ["this is a test"])

    def references(self, training: Training[LineConfig, Points]) -> Mapping[str, Clip]:
        """The noise, to listen to."""
        return {"audio/points": Clip(training.material.part(train=False)[1].numpy(), 8000, "points")}

    def module(self, training: Training[LineConfig, Points]) -> LineModule:
        """Two groups."""
        return LineModule(training.network, Optimisation.of(training.config))

    def data(self, training: Training[LineConfig, Points], place: Place) -> PointsData:
        """Of one process."""
        return PointsData(training.material, training.config, place)

    def score(self, training: Training[LineConfig, Points]) -> Scores:
        """The validation part once more, by the best weights."""
        return Scores(_measured(training.network, training.material.part(train=False)))

    def export(self, training: Training[LineConfig, Points], summary: Mapping[str, Any]) -> None:
        """The line as JSON, read back."""
        path = training.layout.root / "line.json"
        network = training.network
        content = {"line": network.line.tolist(), "scatter": network.log_scatter.exp().item()}
        write_json(path, {**content, "training_id": summary["training_id"]})
        assert json.loads(path.read_text())["line"] == network.line.tolist()

    def show(
        self, training: Training[LineConfig, Points], scores: Scores, summary: Mapping[str, Any]
    ) -> Shown:
        """Nothing to see; the residuals can be heard."""
        points = training.material.part(train=False)
        with torch.no_grad():
            error = points[1] - (training.network.line[0] * points[0] + training.network.line[1])
        return Shown({"audio/error": Clip(error.numpy(), 8000, "error")})
