"""What of a command line is no override but says where Hydra looks for YAML files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence


def flags_of(arguments: Sequence[str]) -> list[str]:
    """``--config-dir`` and ``--config-name`` among the arguments, the directory in full."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-name", "-cn")
    known, _ = parser.parse_known_args(list(arguments))
    flags = []
    if known.config_dir is not None:
        flags += ["--config-dir", os.path.abspath(known.config_dir)]
    if known.config_name is not None:
        flags += ["--config-name", known.config_name]
    return flags
