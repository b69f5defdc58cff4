"""The name by which Hydra finds the search; Hydra imports this at every start, so it is light."""

from __future__ import annotations

from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SearchSweeper(Sweeper):
    """See ``namexp.sweeps.search``."""

    def __init__(
        self, *, trials: int, at_once: int, objective: str | None, seed: int, params: DictConfig | None
    ) -> None:
        self._settings: dict[str, Any] = {
            "trials": trials,
            "at_once": at_once,
            "objective": objective,
            "seed": seed,
        }
        self._params = dict(params or {})
        self._launcher: Launcher | None = None
        self._loader: ConfigLoader | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what the sweep runs with."""
        self.config = config
        self._loader = hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Search until there are enough trials."""
        from namexp.sweeps.search import Search
        from namexp.sweeps.space import split_space
        from namexp.tasks import known

        assert self._launcher is not None
        assert self._loader is not None
        assert self.config is not None
        space = split_space([*(f"{key}={value}" for key, value in self._params.items()), *arguments])
        trial = self._loader.load_sweep_config(self.config, space.example())
        search = Search(self.config, space, metrics=known.config_of(trial).metrics, **self._settings)
        return search.run(self._launcher)
