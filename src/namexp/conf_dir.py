"""Where the YAML files lie: inside an installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> str:
    """The directory of ``train.yaml``.

    Raises:
        FileNotFoundError: neither place has it; the installation is broken.
    """
    package = Path(__file__).resolve().parent
    candidates = (package / "conf", package.parents[1] / "conf")
    for candidate in candidates:
        if (candidate / "train.yaml").is_file():
            return str(candidate)
    raise FileNotFoundError(f"no train.yaml in {' or '.join(map(str, candidates))}; install namexp again.")
