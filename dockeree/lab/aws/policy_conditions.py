"""The Condition element of IAM policies: operators, `IfExists`, `ForAllValues` and `ForAnyValue`.

A missing key fails an operator, but for the negated ones (StringNotEquals, ...) and for `IfExists`, which then hold.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Test = Callable[[str, str], bool]
"""The request's value against the policy's."""


class UnknownOperator(Exception):
    """A condition operator that this evaluator has never heard of."""


def _like(value: str, pattern: str) -> bool:
    return _wildcards(pattern).fullmatch(value) is not None


@lru_cache(maxsize=1024)
def _wildcards(pattern: str) -> re.Pattern[str]:
    translated = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile(translated, re.DOTALL)


def _arn_like(value: str, pattern: str) -> bool:
    """ARNs match part by part: a `*` does not reach over a colon, but in the last part."""
    values, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(values) == len(patterns) and all(map(_like, values, patterns))


def _in_network(value: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    if re.fullmatch(r"\d+", text):
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compared(convert: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(convert(value), convert(wanted))
        except ValueError:
            return False

    return test


_POSITIVE: dict[str, Test] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "BinaryEquals": lambda value, wanted: value == wanted,
    "IpAddress": _in_network,
    "NumericEquals": _compared(float, lambda a, b: a == b),
    "NumericLessThan": _compared(float, lambda a, b: a < b),
    "NumericLessThanEquals": _compared(float, lambda a, b: a <= b),
    "NumericGreaterThan": _compared(float, lambda a, b: a > b),
    "NumericGreaterThanEquals": _compared(float, lambda a, b: a >= b),
    "DateEquals": _compared(_moment, lambda a, b: a == b),
    "DateLessThan": _compared(_moment, lambda a, b: a < b),
    "DateLessThanEquals": _compared(_moment, lambda a, b: a <= b),
    "DateGreaterThan": _compared(_moment, lambda a, b: a > b),
    "DateGreaterThanEquals": _compared(_moment, lambda a, b: a >= b),
}

_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def conditions_hold(
    conditions: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, tuple[str, ...]],
    fill_in: Callable[[str], str | None],
) -> bool:
    """Whether every key of every operator holds. `fill_in` replaces policy variables.

    Raises UnknownOperator.
    """
    return all(
        _holds(operator, context.get(key.lower(), ()), _texts(wanted), fill_in)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _texts(wanted: Any) -> list[str]:
    values = wanted if isinstance(wanted, list) else [wanted]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


def _holds(operator: str, values: tuple[str, ...], wanted: list[str], fill_in: Callable[[str], str | None]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnknownOperator(operator)
    if name == "Null":
        return (not values) == (wanted[0] == "true")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in _NEGATED
    test = _POSITIVE.get(_NEGATED.get(name, name))
    if test is None:
        raise UnknownOperator(operator)
    if not values:
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue")
    patterns = [filled for filled in map(fill_in, wanted) if filled is not None]
    each = [any(test(value, pattern) for pattern in patterns) != negated for value in values]
    return any(each) if quantifier == "ForAnyValue" or (quantifier == "" and not negated) else all(each)
