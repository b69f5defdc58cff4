"""What a step of an optimiser costs beside a step of the A2 networks: ours, and of libraries that are there.

python scripts/benchmark_optimizers.py                       # SOAP of namexp, Adam of torch
pip install pytorch-optimizer heavyball                      # into an environment of its own, with namexp
python scripts/benchmark_optimizers.py --rounds 5            # theirs too

One thread, process time; a round is every optimiser in turn, the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from namexp.conf_dir import conf_dir
from namexp.engine.optimisation import build_optimizer
from namexp.models.wavenet import PackedWaveNet
from namexp.schema.composition import composed
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.capture.networks import build_network
from namexp.tasks.known import parse_experiment

LR, BETAS = 8e-3, (0.95, 0.95)
WARM, STEPS = 11, 40  # bases turn every ten steps
Make = Callable[[PackedWaveNet], Any]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    config = parse_experiment(composed([], conf_dir()))
    found = [
        (_network_step(config), {name: _cost(config, make) for name, make in _makers(config).items()})
        for _ in range(rounds)
    ]
    network = statistics.median(step for step, _ in found)
    print(f"A step of {config.data.batch_size} windows of {config.data.ny}: {1000 * network:.1f} ms\n")
    print("| optimiser | ms a step | of the networks' |")
    print("| --- | ---: | ---: |")
    for name in found[0][1]:
        cost = statistics.median(costs[name] for _, costs in found)
        print(f"| {name} | {1000 * cost:.2f} | {100 * cost / network:.1f} % |")


def _makers(config: Any) -> dict[str, Make]:
    def own(network: PackedWaveNet) -> Any:
        rows = [network.row_parameters(i) for i in range(len(network.names))]
        return build_optimizer(network.parameters(), config.optimizer, together=rows)

    makers: dict[str, Make] = {
        "SOAP of namexp": own,
        "Adam of torch, fused": lambda network: torch.optim.Adam(network.parameters(), lr=LR, fused=True),
    }
    if find_spec("pytorch_optimizer"):
        library = import_module("pytorch_optimizer")
        makers["SOAP of pytorch-optimizer"] = lambda network: library.SOAP(
            network.parameters(), lr=LR, betas=BETAS, weight_decay=0.0
        )
    if find_spec("heavyball"):
        heavyball = import_module("heavyball")
        makers["SOAP of heavyball"] = lambda network: heavyball.SOAP(network.parameters(), lr=LR, betas=BETAS)
    return makers


def _network(config: Any) -> PackedWaveNet:
    network = build_network(config.model.plan, seed=0)
    assert isinstance(network, PackedWaveNet), "the default is a pack"
    return network


def _cost(config: Any, make: Make) -> float:
    """Seconds of a step, on gradients that are drawn."""
    network = _network(config)
    optimizer = make(network)
    return _mean(lambda: _give(network), optimizer.step)


def _give(network: PackedWaveNet) -> None:
    for parameter in network.parameters():
        parameter.grad = 1e-3 * torch.randn_like(parameter)


def _network_step(config: Any) -> float:
    """Seconds of outputs, loss and gradients."""
    network, loss = _network(config), CaptureLoss(config.loss)
    L = config.data.ny + config.model.plan.receptive_field - 1
    x, y = torch.randn(config.data.batch_size, L), torch.randn(config.data.batch_size, config.data.ny)

    def step() -> None:
        values: Tensor = loss.values(network(0.1 * x), y)
        loss.weigh(values).sum().backward()

    return _mean(network.zero_grad, step)


def _mean(before: Callable[[], Any], timed: Callable[[], Any]) -> float:
    spent = []
    for _ in range(WARM + STEPS):
        before()
        begun = time.process_time()
        timed()
        spent.append(time.process_time() - begun)
    return statistics.mean(spent[WARM:])


if __name__ == "__main__":
    main()
