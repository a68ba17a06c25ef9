"""What IAM policies say of a request: pure functions over policy documents, as IAM's evaluation logic has them.

An explicit deny wins; else one allowing statement is needed. A statement speaks of a request when its actions, its
resources and all its conditions match. What is not understood never allows: a statement with an unknown condition
operator does not allow, and if it denies, it denies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from dockeree.lab.aws.policy_conditions import UnknownOperator, conditions_hold

Context = Mapping[str, tuple[str, ...]]
"""Condition keys in lower case, and their values in the request."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Decision(Enum):
    """What policies say together."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    DENIED = "explicitly denied"


@dataclass(frozen=True)
class Ask:
    """One action on one resource, with the keys that conditions may look at."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def evaluate(documents: Iterable[str], ask: Ask) -> Decision:
    """What these policy documents (JSON) say together of one request."""
    decision = Decision.NOT_ALLOWED
    for document in documents:
        for statement in _statements(document):
            if not _speaks_of(statement, ask):
                continue
            if statement["Effect"] == "Deny":
                return Decision.DENIED
            decision = Decision.ALLOWED
    return decision


def authorize(
    identity: Sequence[str], boundary: Sequence[str] | None, session: Sequence[str] | None, ask: Ask
) -> Decision:
    """Identity policies, limited by a permissions boundary and by a session's own policy where there are such."""
    decisions = [evaluate(documents, ask) for documents in (identity, boundary, session) if documents is not None]
    if Decision.DENIED in decisions:
        return Decision.DENIED
    return Decision.NOT_ALLOWED if Decision.NOT_ALLOWED in decisions else Decision.ALLOWED


@lru_cache(maxsize=512)
def _statements(document: str) -> tuple[dict[str, Any], ...]:
    statements = json.loads(document)["Statement"]
    return tuple(statements) if isinstance(statements, list) else (statements,)


def _speaks_of(statement: dict[str, Any], ask: Ask) -> bool:
    if not _names_action(statement, ask.action) or not _names_resource(statement, ask):
        return False
    try:
        return conditions_hold(statement.get("Condition", {}), ask.context, lambda text: fill_in(text, ask.context))
    except UnknownOperator:
        return bool(statement["Effect"] == "Deny")


def _names_action(statement: dict[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(matches(p.lower(), action.lower()) for p in as_list(statement["NotAction"]))
    return any(matches(pattern.lower(), action.lower()) for pattern in as_list(statement.get("Action", [])))


def _names_resource(statement: dict[str, Any], ask: Ask) -> bool:
    if "NotResource" in statement:
        return not any(_resource_matches(pattern, ask) for pattern in as_list(statement["NotResource"]))
    return any(_resource_matches(pattern, ask) for pattern in as_list(statement.get("Resource", [])))


def _resource_matches(pattern: str, ask: Ask) -> bool:
    filled = fill_in(pattern, ask.context)
    return filled is not None and matches(filled, ask.resource)


def fill_in(text: str, context: Context) -> str | None:
    """Replace policy variables (`${aws:username}`) by the request's values; None where one has no value."""
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name = match.group(1)
        if name in ("*", "?", "$"):
            return name
        values = context.get(name.lower(), ())
        missing = missing or len(values) != 1
        return values[0] if values else ""

    filled = _VARIABLE.sub(value, text)
    return None if missing else filled


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of IAM (`*` any run of characters, `?` any one) matches all of `text`."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> re.Pattern[str]:
    translated = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile(translated, re.DOTALL)


def as_list(value: Any) -> list[str]:
    """IAM lets a single value stand for a list of one."""
    return list(value) if isinstance(value, list) else [value]
