"""What of a command line is no override but says where Hydra looks for YAML files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence


def flags_of(arguments: Sequence[str]) -> list[str]:
    """``--config-dir`` and ``--config-name`` among the arguments, the directory in full."""
    flags, _ = flags_and_rest(arguments)
    directories = {i + 1 for i, flag in enumerate(flags) if flag == "--config-dir"}
    return [os.path.abspath(word) if i in directories else word for i, word in enumerate(flags)]


def flags_and_rest(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """``--config-dir`` and ``--config-name`` as they were given, and all that is left."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-name", "-cn")
    known, rest = parser.parse_known_args(list(arguments))
    flags = []
    if known.config_dir is not None:
        flags += ["--config-dir", known.config_dir]
    if known.config_name is not None:
        flags += ["--config-name", known.config_name]
    return flags, rest
