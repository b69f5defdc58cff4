"""Hydra's complaints about a command line, each as one line with a suggestion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from namexp.errors import UserError, did_you_mean, one_line
from namexp.schema.experiment import suggestion

_PARALLEL = "needs a launcher that is not installed: pip install 'namexp[parallel]'"
_SEARCH = "is no part of namexp, whose search is sweep=search: pip install 'namexp[search]'"
# options that come with packages which may be missing
EXTRAS = {
    **{
        ("hydra/launcher", name): _PARALLEL
        for name in ("joblib", "slurm", "submitit_local", "submitit_slurm")
    },
    ("hydra/sweeper", "optuna"): _SEARCH,
}

RANGE = re.compile(r"=.*\b(interval|range|choice|tag|sort|shuffle)\(")


def explain(error: Exception, overrides: Sequence[str], conf: str) -> UserError:
    """Turn an exception of Hydra into one for people.

    Args:
        error: what Hydra raised while composing.
        overrides: the command line.
        conf: directory of the YAML files.
    """
    text = str(error)
    missing = re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", text)
    if missing:
        group, option = missing.groups()
        if (group, option) in EXTRAS:
            return UserError(f"{group}={option} {EXTRAS[group, option]}.")
        options = [path.stem for path in (Path(conf) / group).glob("*.yaml")]
        return UserError(f"{group}={option} is not an option of {group}{did_you_mean(option, options)}")
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1).split("@")[0]
        given = next((o for o in overrides if o.lstrip("+~").startswith(f"{key}=")), key)
        hint = _suggest(key, overrides, conf)
        if f"'{key}'?" in hint:  # the setting exists, what was put into it does not
            reason = _first_sentence(text.splitlines()[-1])
            return UserError(f"{given}: {reason}; add an entry with +{key}.NAME=VALUE.")
        return UserError(f"{given}: '{key}' is not a setting{hint}")
    if isinstance(error, OmegaConfBaseException) or isinstance(error.__cause__, GrammarParseError):
        return explain_interpolation(error)
    wrong = re.search(r"Error merging override (\S+)\s+(.*)", text, re.DOTALL)
    if wrong:
        return UserError(f"{wrong.group(1)}: {_first_sentence(wrong.group(2))}")
    if isinstance(error, OverrideParseException) and RANGE.search(error.override):
        reason = _first_sentence(text.split("See ")[0])
        return UserError(f"{error.override}: is not a range of values: {reason}")
    if isinstance(error, OverrideParseException):
        return UserError(
            f"{error.override}: cannot be read as KEY=VALUE; quote a value with special characters twice, "
            "as in 'data.input=\"a=(b).wav\"'."
        )
    return UserError(one_line(error))


def explain_interpolation(error: Exception) -> UserError:
    """What OmegaConf says of a ``${`` for which it has nothing to put in."""
    said, cause = _first_sentence(str(error)), error.__cause__
    reason = "" if cause is None else _first_sentence(str(cause))
    if reason and reason not in said:
        said = f"{said.removeprefix('Error merging override ')}: {reason}"
    return UserError(
        f"{said}; ${{NAME}} stands for another setting, so write \\${{ where the text itself is meant."
    )


def composed(overrides: Sequence[str], conf: str) -> DictConfig:
    """What the YAML files and the overrides say together; only where Hydra is not composing itself.

    Raises:
        HydraException: they do not go together.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(conf, version_base="1.3"):
        return compose("train", list(overrides))


def _first_sentence(text: str) -> str:
    return " ".join(text.split(" full_key")[0].split())


def _suggest(key: str, overrides: Sequence[str], conf: str) -> str:
    """Did-you-mean among the settings of the chosen groups; nothing if even those do not compose."""
    groups = {path.name for path in Path(conf).iterdir() if path.is_dir()}
    choices = [o for o in overrides if o.split("=")[0] in groups]
    try:
        return suggestion(key, composed(choices, conf))
    except HydraException:
        return "."
