"""YAML from files, taken literally: no aliases, no tags, no interpolations, no depth without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import yaml

from namexp.errors import UserError, one_line
from namexp.reading.plain import check_plain
from namexp.reading.regular import MEGABYTE, read_text

LIMIT = 2 * MEGABYTE
DEPTH = 50
MOST_VALUES = 200_000
INTERPOLATION = "${"

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: ten times as fast


class _Loader(_Base):
    """Plain values; what looks like a date is text, as in OmegaConf, which writes such files."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


def read_yaml(path: Path) -> Any:
    """The plain values in a file.

    Raises:
        UserError: it cannot be read, is not YAML, or holds aliases or other than plain values.
    """
    text = read_yaml_text(path)
    try:
        content = yaml.load(text, Loader=_Loader)
    except Exception as error:  # YAML has many kinds of errors, and its values more
        raise UserError(f"{path}: cannot be read: not YAML: {one_line(error)}.") from None
    check_plain(content, f"{path}:")
    return content


def read_yaml_text(path: Path, *, literal: bool = False) -> str:
    """The text of a file that is safe to be loaded.

    Args:
        path: of the file.
        literal: whether interpolations are refused too: they would be looked up when it is used.

    Raises:
        UserError: it cannot be read, is not YAML, or holds what has no place in it.
    """
    text = read_text(path, LIMIT)
    try:
        _check_events(path, text, literal=literal)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: cannot be read: not YAML: {one_line(error)}.") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: cannot be read: not YAML: {one_line(error)}.") from None
    return text


def _check_events(path: Path, text: str, *, literal: bool) -> None:
    """Events come one after the other: nothing is expanded yet, and nothing calls itself."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise UserError(
                f"{path}: line {event.start_mark.line + 1} has the alias *{event.anchor}, which a stored "
                "file never has."
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif literal and isinstance(event, yaml.ScalarEvent) and INTERPOLATION in event.value:
            raise UserError(
                f"{path}: line {event.start_mark.line + 1} holds an interpolation ({event.value[:60]!r}); a "
                "stored config is taken literally, so write the value itself."
            )
        if depth > DEPTH or count > MOST_VALUES:
            raise UserError(
                f"{path}: is nested more than {DEPTH} deep or has more than {MOST_VALUES} values."
            )
