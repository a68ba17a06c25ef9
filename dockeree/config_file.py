"""Reads the configuration file and reports every mistake in it at once, each with its line.

text -> yaml_marks.parse (values, where each stands, duplicate keys) -> pydantic (types, unknown and missing keys)
     -> config_rules (what holds between keys) -> Config, or ConfigError with all problems in the file's order
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dockeree import config_words
from dockeree.config import Config, Section
from dockeree.config_rules import Mistake, broken_rules
from dockeree.errors import ConfigError
from dockeree.yaml_marks import Document, YamlMistake, parse

REQUIRED_STAND_INS: dict[str, object] = {"name": "xx", "admin_cidrs": ["auto"]}
"""Take the place of required keys that are missing or wrong, so that the rules can be asked about the rest."""


def load_config(path: Path | Literal["-"]) -> Config:
    """The configuration in the file at `path`, or on standard input for `-`.

    Raises ConfigError, whose `problems` hold every mistake: file, line, column, key, what is wrong, what was
    probably meant, and the line with a caret.
    """
    label = "<stdin>" if path == "-" else str(path)
    return parse_config(_read(path, label), label)


def parse_config(text: str, label: str) -> Config:
    """As load_config, from the text itself; `label` names it in problems."""
    try:
        document = parse(text)
    except YamlMistake as mistake:
        raise _config_error(label, [_render(label, text, mistake.line, mistake.column, 1, str(mistake))]) from None
    mistakes = [Mistake(path, message) for path, message in document.mistakes]
    if not isinstance(document.data, dict):
        mistakes.append(Mistake((), "the file must hold keys and values, such as `name: demo`"))
        raise _config_error(label, _render_all(label, text, document, mistakes))
    data = _without_empty_sections(document.data)
    config, type_mistakes = _validate(data)
    mistakes += type_mistakes
    mistakes += _mistakes_between_keys(config, data, type_mistakes)
    if mistakes or config is None:
        raise _config_error(label, _render_all(label, text, document, mistakes))
    return config


def config_schema() -> dict[str, Any]:
    """The configuration's JSON Schema, for editors and validators."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()


def _read(path: Path | Literal["-"], label: str) -> str:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{label}: there is no such file",
            hint="Write one (config.example.yaml shows every key), or name yours: -c FILE",
        ) from None
    except OSError as error:
        raise ConfigError(f"{label}: cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{label} is not right", [f"{label}:{line}:1: the file is not UTF-8 (byte {error.start})"]
        ) from error


def _without_empty_sections(data: dict[str, Any], section: type[Section] = Config) -> dict[str, Any]:
    """`network:` with every key below it commented out is null for YAML, and means the defaults."""
    below = config_words.sections(section)
    filled: dict[str, Any] = {}
    for key, value in data.items():
        if key in below and value is None and section.model_fields[key].default is not None:
            filled[key] = {}
        elif key in below and isinstance(value, dict):
            filled[key] = _without_empty_sections(value, below[key])
        else:
            filled[key] = value
    return filled


def _validate(data: dict[str, Any]) -> tuple[Config | None, list[Mistake]]:
    """Strict, in JSON's terms: no number for text, no text for a number, yet a list for a tuple."""
    try:
        return Config.model_validate_json(json.dumps(data, default=str), strict=True), []
    except ValidationError as error:
        return None, _as_mistakes(error.errors(include_url=False), data)


def _as_mistakes(errors: Sequence[ErrorDetails], data: dict[str, Any]) -> list[Mistake]:
    """One mistake a place: what may be of several types gives an error for each."""
    mistakes: dict[tuple[str | int, ...], Mistake] = {}
    for error in errors:
        path = _data_path(error, data)
        value = _value_at(data, path)
        if path not in mistakes and not _is_follow_up(error, value):
            mistakes[path] = Mistake(path, config_words.describe(error, path, value))
    return list(mistakes.values())


def _is_follow_up(error: ErrorDetails, value: Any) -> bool:
    """Whether a list is too short only because pydantic leaves its wrong items out of the count."""
    return error["type"] == "too_short" and len(value) >= error["ctx"]["min_length"]


def _data_path(error: ErrorDetails, data: dict[str, Any]) -> tuple[str | int, ...]:
    """The error's place in the file: pydantic adds the name of the type tried where there are several."""
    if error["type"] == "missing":
        return error["loc"]
    value: Any = data
    path: list[str | int] = []
    for part in error["loc"]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
        path.append(part)
    return tuple(path)


def _value_at(data: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        if isinstance(data, list):
            data = data[int(part)]
        elif isinstance(data, dict):
            data = data.get(str(part))
        else:
            return None
    return data


def _mistakes_between_keys(config: Config | None, data: dict[str, Any], wrong: list[Mistake]) -> list[Mistake]:
    """The broken rules that no value which is wrong in itself has a part in."""
    spoilt = [mistake.path for mistake in wrong]
    if config is None:
        config, left = _validate(_with_stand_ins(data, spoilt))
        if config is None:
            raise AssertionError(f"values taken out of the configuration are still in it: {left}")
    return [
        mistake
        for mistake in broken_rules(config)
        if not any(_is_below(path, above) for path in (mistake.path, *mistake.compared_with) for above in spoilt)
    ]


def _is_below(path: tuple[str | int, ...], above: tuple[str | int, ...]) -> bool:
    return path[: len(above)] == above


def _with_stand_ins(data: dict[str, Any], wrong: Sequence[tuple[str | int, ...]]) -> dict[str, Any]:
    """`data` without its wrong values (defaults apply); in lists they are replaced, as the others keep their places."""
    usable = copy.deepcopy(data)
    for path in wrong:
        parent = _value_at(usable, path[:-1])
        if isinstance(parent, list):
            index = int(path[-1])
            parent[index] = 60000 + index if path[0] == "apps" else f"192.0.2.{index % 256}/32"
        elif isinstance(parent, dict) and path[-1] in parent:
            del parent[path[-1]]
        elif isinstance(parent, dict) and len(path) > 1:  # a required key of a section that may be left out
            _value_at(usable, path[:-2]).pop(path[-2])
    return REQUIRED_STAND_INS | usable


def _render_all(label: str, text: str, document: Document, mistakes: Sequence[Mistake]) -> list[str]:
    rendered = []
    for mistake in mistakes:
        span = document.span(mistake.path)
        place = ".".join(map(str, mistake.path))
        message = f"{place}: {mistake.message}" if place else mistake.message
        rendered.append((span.line, span.column, _render(label, text, span.line, span.column, span.width, message)))
    return [problem for _, _, problem in sorted(rendered, key=lambda item: item[:2])]


def _render(label: str, text: str, line: int, column: int, width: int, message: str) -> str:
    """`config.yaml:12:3: message`, the source line, and a caret below what is wrong. Line and column from 1."""
    lines = text.splitlines()
    problem = f"{label}:{line}:{column}: {message}"
    if not 1 <= line <= len(lines):
        return problem
    source = lines[line - 1].replace("\t", " ")
    margin = f"{line:>5} | "
    carets = "^" * max(1, min(width, len(source) - column + 1))
    return f"{problem}\n{margin}{source}\n{' ' * (len(margin) - 2)}| {' ' * (column - 1)}{carets}"


def _config_error(label: str, problems: Sequence[str]) -> ConfigError:
    count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return ConfigError(f"{label}: {count}", problems, "Every key: docs/configuration.md, config.example.yaml")
