"""YAML with the place of every key and value, so that a mistake can be shown where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]


class YamlMistake(Exception):
    """The text is not YAML. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Span:
    """Where something stands: line and column from 1, and how many characters of that line it takes."""

    line: int
    column: int
    width: int


@dataclass
class Document:
    """The values of a YAML text, where each stands, and keys that stand twice."""

    data: Any = None
    mistakes: list[tuple[Path, str]] = field(default_factory=list)
    _keys: dict[Path, Span] = field(default_factory=dict)
    _values: dict[Path, Span] = field(default_factory=dict)
    _duplicates: dict[Path, Span] = field(default_factory=dict)

    def span(self, path: Path) -> Span:
        """Where `path` stands: its key, or the item of a list; for what is missing, what it is missing from."""
        if path in self._duplicates:
            return self._duplicates[path]
        for end in range(len(path), -1, -1):
            if span := self._keys.get(path[:end]) or self._values.get(path[:end]):
                return span
        return Span(1, 1, 1)


def parse(text: str) -> Document:
    """Read one YAML document. Keys are taken as they are written (`on`, `80`), values as YAML says.

    Raises YamlMistake when the text is not YAML, holds several documents, or refers to itself.
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1) + 1
        words = f"a character that YAML does not allow: {text[error.position]!r}"
        raise YamlMistake(words, before.count("\n") + 1, column) from error
    try:
        return _Reader(loader).read(loader.get_single_node())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlMistake(_words(error), line, column) from error
    finally:
        loader.dispose()


class _Reader:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._document = Document()
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node | None) -> Document:
        self._document.data = None if node is None else self._value(node, ())
        return self._document

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if node in self._open:
            raise YamlMistake("this refers to itself", node.start_mark.line + 1, node.start_mark.column + 1)
        self._document._values[path] = _span(node)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._loader.construct_object(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._find_duplicates(node, path)
        self._loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            value = self._value(value_node, (*path, key))
            # Two sections of one name are a mistake; what is in either is checked all the same.
            both = isinstance(value, dict) and isinstance(values.get(key), dict)
            values[key] = {**values[key], **value} if both else value
            self._document._keys[(*path, key)] = _span(key_node)
        return values

    def _find_duplicates(self, node: yaml.MappingNode, path: Path) -> None:
        """Before merging, as a merged key may be set again."""
        first: dict[str, yaml.Node] = {}
        for key_node, _ in node.value:
            key = _key(key_node)
            if key in first:
                line = first[key].start_mark.line + 1
                self._document._duplicates[(*path, key)] = _span(key_node)
                self._document.mistakes.append(((*path, key), f"this key stands in line {line} already"))
            first.setdefault(key, key_node)


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        mark = node.start_mark
        raise YamlMistake("a key must be a word", mark.line + 1, mark.column + 1)
    return str(node.value)


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Span(start.line + 1, start.column + 1, max(1, width))


def _words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    if "\\t" in problem or "'\\t'" in problem:
        return "a tab: YAML is indented with spaces"
    return f"{error.context}: {problem}" if error.context else problem
