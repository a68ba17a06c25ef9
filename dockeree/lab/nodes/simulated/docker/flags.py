"""Command-line flags as docker's client reads them (pflag's rules and words).

Specification: one word a flag, `name[/shorthand][:kind]`; kinds: bool (default), text, list, number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = ("bool", "text", "list", "number")


class UsageError(Exception):
    """A wrong command line; `exit_status` as the client ends."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True)
class Flag:
    """One flag."""

    name: str
    shorthand: str
    kind: str


@dataclass
class Options:
    """A parsed command line: flags by name, and the arguments."""

    values: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """A flag's text."""
        return str(self.values.get(name, default))

    def number(self, name: str, default: int) -> int:
        """A flag's number."""
        return int(self.values.get(name, default))

    def is_set(self, name: str) -> bool:
        """Whether a switch is on."""
        return bool(self.values.get(name, False))

    def items(self, name: str) -> list[str]:
        """Every value of a flag that may be repeated."""
        return list(self.values.get(name, []))


def specification(words: str) -> list[Flag]:
    """Flags from their short notation."""
    flags = []
    for word in words.split():
        names, _, kind = word.partition(":")
        name, _, shorthand = names.partition("/")
        if kind and kind not in KINDS:
            raise ValueError(f"{word}: no such kind of flag")
        flags.append(Flag(name, shorthand, kind or "bool"))
    return flags


def parse(words: Sequence[str], flags: Sequence[Flag], *, interspersed: bool = True) -> Options:
    """Read `words`. Without `interspersed`, flags end at the first argument. Raises UsageError."""
    options = Options()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            options.arguments += rest
            break
        if word.startswith("--"):
            _long(word, rest, flags, options)
        elif word.startswith("-") and len(word) > 1:
            _short(word, rest, flags, options)
        else:
            options.arguments.append(word)
            if not interspersed:
                options.arguments += rest
                break
    return options


def _long(word: str, rest: list[str], flags: Sequence[Flag], options: Options) -> None:
    name, equals, value = word[2:].partition("=")
    flag = next((flag for flag in flags if flag.name == name), None)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}", 125)
    if flag.kind != "bool" and not equals:
        if not rest:
            raise UsageError(f"flag needs an argument: --{name}", 125)
        value = rest.pop(0)
    _set(flag, value if equals or flag.kind != "bool" else "true", options, f"--{name}")


def _short(word: str, rest: list[str], flags: Sequence[Flag], options: Options) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = next((flag for flag in flags if flag.shorthand == letter), None)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in {word}", 125)
        if flag.kind == "bool":
            _set(flag, "true", options, f"-{letter}, --{flag.name}")
            continue
        value = letters.removeprefix("=") if letters else (rest.pop(0) if rest else None)
        if value is None:
            raise UsageError(f"flag needs an argument: '{letter}' in {word}", 125)
        _set(flag, value, options, f"-{letter}, --{flag.name}")
        return


def _set(flag: Flag, value: str, options: Options, shown: str) -> None:
    if flag.kind == "bool":
        if value not in ("true", "false", "1", "0"):
            raise UsageError(
                f'invalid argument "{value}" for "{shown}" flag: strconv.ParseBool: parsing "{value}": invalid syntax',
                125,
            )
        options.values[flag.name] = value in ("true", "1")
    elif flag.kind == "list":
        options.values.setdefault(flag.name, []).append(value)
    elif flag.kind == "number":
        if not re.fullmatch(r"\d+", value):
            raise UsageError(
                f'invalid argument "{value}" for "{shown}" flag: strconv.ParseUint: parsing "{value}": invalid syntax',
                125,
            )
        options.values[flag.name] = int(value)
    else:
        options.values[flag.name] = value
