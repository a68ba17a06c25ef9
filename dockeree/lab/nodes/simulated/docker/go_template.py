"""Go's text/template, as far as `docker … --format` needs it.

Fields (`.Swarm.NodeID`), `$`, literals, pipes, the functions below, `if`/`else`, `with`, `range`, `end`, and
trimming (`{{-`). Anything else raises TemplateError, in the client's words where they are short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

TOKEN = re.compile(r'\s+|("(?:\\.|[^"\\])*"|`[^`]*`|\(|\)|\||[^\s()|"`]+)')
BLOCKS = ("if", "with", "range")


class TemplateError(Exception):
    """The template cannot be parsed or does not fit the data."""


def render(template: str, data: Any) -> str:
    """Execute `template` on `data` (mappings, sequences, plain values)."""
    text = template.replace("\\t", "\t").replace("\\n", "\n")
    pieces = _split(text)
    nodes, rest = _parse(pieces, 0, nested=False)
    if rest != len(pieces):
        raise TemplateError("unexpected {{end}}")
    return _execute(nodes, data, data)


def _split(text: str) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = text.find("}}", start)
        if end < 0:
            raise TemplateError("unclosed action")
        literal, action = text[position:start], text[start + 2 : end]
        position = end + 2
        if action.startswith("- "):
            literal, action = literal.rstrip(), action[2:]
        if action.endswith(" -"):
            action = action[:-2]
            position += len(text[position:]) - len(text[position:].lstrip())
        pieces += [("text", literal), ("action", action.strip())]
    return [*pieces, ("text", text[position:])]


def _parse(pieces: Sequence[tuple[str, str]], position: int, *, nested: bool) -> tuple[list[Any], int]:
    nodes: list[Any] = []
    while position < len(pieces):
        kind, text = pieces[position]
        word = text.split(" ")[0] if text else ""
        if kind == "text":
            nodes.append(text)
        elif word in ("end", "else"):
            if not nested:
                raise TemplateError(f"unexpected {{{{{word}}}}}")
            return nodes, position
        elif word in BLOCKS:
            body, position = _parse(pieces, position + 1, nested=True)
            otherwise: list[Any] = []
            if position < len(pieces) and pieces[position][1] == "else":
                otherwise, position = _parse(pieces, position + 1, nested=True)
            if position >= len(pieces):
                raise TemplateError("unexpected EOF")
            nodes.append((word, text[len(word) :], body, otherwise))
        else:
            nodes.append(("value", text, [], []))
        position += 1
    if nested:
        raise TemplateError("unexpected EOF")
    return nodes, position


def _execute(nodes: Sequence[Any], dot: Any, root: Any) -> str:
    written: list[str] = []
    for node in nodes:
        if isinstance(node, str):
            written.append(node)
            continue
        word, expression, body, otherwise = node
        value = _evaluate(expression, dot, root)
        if word == "value":
            written.append(text_of(value))
        elif not _is_true(value):
            written.append(_execute(otherwise, dot, root))
        elif word == "range":
            items = value.values() if isinstance(value, Mapping) else value
            written += [_execute(body, item, root) for item in items]
        else:
            written.append(_execute(body, value if word == "with" else dot, root))
    return "".join(written)


def _evaluate(expression: str, dot: Any, root: Any) -> Any:
    tokens = [match[1] for match in TOKEN.finditer(expression) if match[1]]
    if not tokens:
        raise TemplateError("missing value for command")
    value, position = _pipeline(tokens, 0, dot, root)
    if position != len(tokens):
        raise TemplateError(f"unexpected {tokens[position]!r}")
    return value


def _pipeline(tokens: Sequence[str], position: int, dot: Any, root: Any) -> tuple[Any, int]:
    value: Any = None
    is_first = True
    while True:
        words: list[Any] = []
        name = tokens[position] if position < len(tokens) else ""
        while position < len(tokens) and tokens[position] not in ("|", ")"):
            if tokens[position] == "(":
                inner, position = _pipeline(tokens, position + 1, dot, root)
                if position >= len(tokens):
                    raise TemplateError("unclosed left paren")
                words.append(inner)
            elif not words and tokens[position] in FUNCTIONS:
                words.append(FUNCTIONS[tokens[position]])
            else:
                words.append(_operand(tokens[position], dot, root))
            position += 1
        if not words:
            raise TemplateError("missing value for command")
        if callable(words[0]):
            arguments = words[1:] if is_first else [*words[1:], value]
            try:
                value = words[0](*arguments)
            except (TypeError, KeyError, IndexError, ValueError) as error:
                raise TemplateError(f"error calling {name}: {error}") from error
        elif is_first and len(words) == 1:
            value = words[0]
        else:
            raise TemplateError(f"can't give argument to non-function {name}")
        if position >= len(tokens) or tokens[position] == ")":
            return value, position
        position, is_first = position + 1, False


def _operand(token: str, dot: Any, root: Any) -> Any:
    if token.startswith('"'):
        return json.loads(token)
    if token.startswith("`"):
        return token[1:-1]
    if re.fullmatch(r"-?\d+", token):
        return int(token)
    if token in ("true", "false", "nil"):
        return {"true": True, "false": False, "nil": None}[token]
    if token.startswith("$"):
        return _field(root, token[1:])
    if token.startswith("."):
        return _field(dot, token)
    raise TemplateError(f'function "{token}" not defined')


def _field(value: Any, path: str) -> Any:
    for name in path.split("."):
        if not name:
            continue
        if not isinstance(value, Mapping) or name not in value:
            raise TemplateError(f"can't evaluate field {name} in type {_type(value)}")
        value = value[name]
    return value


def _type(value: Any) -> str:
    return "map[string]interface {}" if isinstance(value, Mapping) else type(value).__name__


def _is_true(value: Any) -> bool:
    return bool(value)


def text_of(value: Any) -> str:
    """A value as Go prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(text_of(item) for item in value) + "]"
    return str(value)


def compact_json(value: Any) -> str:
    """JSON as Go's encoder writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": compact_json,
    "index": _index,
    "len": len,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "eq": lambda value, *others: value in others,
    "ne": lambda value, other: value != other,
    "print": lambda *values: "".join(text_of(value) for value in values),
    "println": lambda *values: " ".join(text_of(value) for value in values) + "\n",
    "join": lambda items, separator: separator.join(items),
    "split": lambda text, separator: text.split(separator),
    "lower": str.lower,
    "upper": str.upper,
    "title": str.title,
    "truncate": lambda text, length: text[:length],
}
