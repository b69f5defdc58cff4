"""``python -m namexp.train [overrides]``: one experiment; ``-m`` for a sweep."""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig

from namexp.conf_dir import conf_dir
from namexp.door import guarded
from namexp.engine.execution import Execution, Tasks
from namexp.engine.launch import launch
from namexp.tasks import known

EXECUTION = Execution(Tasks(known.config_of, known.parse_experiment, known.task_of))


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="train")
def _train(cfg: DictConfig) -> None:
    EXECUTION(cfg)


def main() -> int:
    """The command."""
    return guarded("namexp.train", lambda: launch(_train, EXECUTION))


if __name__ == "__main__":
    sys.exit(main())
