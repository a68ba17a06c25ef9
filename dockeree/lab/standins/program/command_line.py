"""Flags as the installers take them (Go's flag package): one dash or two, `--flag value` or `--flag=value`.

A flag that is not in the table is refused, and so is a word where none is expected: a quoting mistake must not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["switch", "text", "number", "list"]
TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")


class UsageError(Exception):
    """The command line is not one of this program's."""


@dataclass(frozen=True)
class Flag:
    """One flag. `environment` is read where the flag is not given; a list's entries are then split at commas."""

    name: str
    kind: Kind = "text"
    short: str = ""
    default: str = ""
    environment: str = ""


class Values:
    """What a command line says."""

    def __init__(self, flags: Iterable[Flag], given: Mapping[str, Sequence[str]], environment: Mapping[str, str]):
        self._values: dict[str, list[str]] = {}
        self._given = set(given)
        for flag in flags:
            if flag.name in given:
                values = list(given[flag.name])
            elif flag.environment and environment.get(flag.environment):
                value = environment[flag.environment]
                values = [word.strip() for word in value.split(",")] if flag.kind == "list" else [value]
            else:
                values = [flag.default] if flag.default else []
            for value in values:
                _check(flag, value)
            self._values[flag.name] = values

    def text(self, name: str) -> str:
        """The last value; empty when there is none."""
        return self._values[name][-1] if self._values[name] else ""

    def number(self, name: str) -> int:
        """A whole number; 0 when there is none."""
        return int(self.text(name) or 0)

    def switch(self, name: str) -> bool:
        """Whether it is on."""
        return self.text(name) in TRUE

    def texts(self, name: str) -> list[str]:
        """Every value of a flag that may be given more than once."""
        return self._values[name]

    def is_known(self, name: str) -> bool:
        """Whether this release's command has the flag."""
        return name in self._values


def parse(flags: Sequence[Flag], words: Sequence[str], environment: Mapping[str, str]) -> Values:
    """Read a command's words. Raises UsageError."""
    by_name = {flag.name: flag for flag in flags} | {flag.short: flag for flag in flags if flag.short}
    given: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word in ("-", "--"):
            raise UsageError(f"unexpected argument: {word}")
        name, has_value, value = word.lstrip("-").partition("=")
        flag = by_name.get(name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name}")
        if not has_value:
            value = "true" if flag.kind == "switch" else _next(rest, name)
        if flag.kind == "list":
            given.setdefault(flag.name, []).append(value)
        else:
            given[flag.name] = [value]
    return Values(flags, given, environment)


def _next(rest: Iterator[str], name: str) -> str:
    try:
        return next(rest)
    except StopIteration:
        raise UsageError(f"flag needs an argument: -{name}") from None


def _check(flag: Flag, value: str) -> None:
    if flag.kind == "switch" and value not in TRUE + FALSE:
        raise UsageError(f'invalid boolean value "{value}" for -{flag.name}')
    if flag.kind == "number" and not value.lstrip("-").isdigit():
        raise UsageError(f'invalid value "{value}" for flag -{flag.name}: parse error')
