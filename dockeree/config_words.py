"""Says pydantic's errors about the configuration in words that name the key, the mistake and what was meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic_core import ErrorDetails

from dockeree.config import Config, Section
from dockeree.config_rules import did_you_mean

PATTERNS = {
    "name": "must be 2 to 12 of a-z, 0-9 and -, beginning with a letter and not ending with -",
    "region": "must be a region such as us-east-1",
    "admin_cidrs": "must be an IPv4 range such as 203.0.113.7/32, or auto",
    "permissions_boundary": "must be a policy's ARN such as arn:aws:iam::123456789012:policy/boundary",
    "vpc_cidr": "must be an IPv4 range such as 10.32.0.0/16",
    "swarm_pool": "must be an IPv4 range such as 10.128.0.0/10",
    "ami": "must be an image's id such as ami-0123456789abcdef0",
    "domain": "must be a domain name such as ucp.example.com, in lower case",
    "image": "must be an image with a tag, such as mirantis/ucp:3.8.12",
    "recipients": "must be a public key: age1 and 58 more characters, as age-keygen prints it, or ssh-ed25519 …",
    "kms_key_id": "must be a KMS key's id, ARN or alias/NAME",
    "hosted_zone_id": "must be a hosted zone's id such as Z0123456789ABCDEFGHIJ",
}
TYPES = {
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}


def sections(of: type[Section] = Config) -> dict[str, type[Section]]:
    """The sections directly below `of`, by key; those that may be left out altogether are among them."""
    found = {}
    for key, field in of.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Section):
                found[key] = kind
    return found


def section_at(path: Sequence[str | int]) -> type[Section]:
    """The section that a key at `path` stands in, as far down as there is one."""
    section: type[Section] = Config
    for part in path[:-1]:
        section = sections(section).get(str(part), section)
    return section


def describe(error: ErrorDetails, path: Sequence[str | int], value: Any) -> str:
    """What is wrong with `value` at `path`, and what was probably meant."""
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return f"this required key is missing: {_purpose(path)}"
    if path[0] == "admin_cidrs" and len(path) == 2:
        return _not_a_range(value)
    if kind == "string_pattern_mismatch":
        return f"{PATTERNS[_field_name(path)]}; this is {value}"
    if kind == "literal_error":
        return _not_one_of(str(context["expected"]), value)
    if kind in TYPES:
        return _wrong_type(TYPES[kind], value)
    if kind in ("too_short", "too_long"):
        return _wrong_length(context, len(value))
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"must be at {'least' if kind.startswith('g') else 'most'} {context.get('ge', context.get('le'))}"
    return error["msg"]


def _unknown_key(path: Sequence[str | int]) -> str:
    key = str(path[-1])
    known = list(section_at(path).model_fields)
    if meant := did_you_mean(key, known):
        return f"unknown key; did you mean {meant}?"
    for name, section in sections().items():
        if (meant := did_you_mean(key, list(section.model_fields))) and meant == key:
            return f"unknown key here; did you mean {name}.{meant}?"
    if key in Config.model_fields:
        return f"unknown key here; did you mean {key} at the left margin?"
    return f"unknown key; there are {', '.join(known)}"


def _purpose(path: Sequence[str | int]) -> str:
    field = section_at(path).model_fields[str(path[-1])]
    return (field.description or "").split(". ")[0].removesuffix(".")


def _field_name(path: Sequence[str | int]) -> str:
    return next(str(part) for part in reversed(path) if isinstance(part, str))


def _not_a_range(value: Any) -> str:
    words = PATTERNS["admin_cidrs"]
    if isinstance(value, str) and value.count(".") == 3 and value.replace(".", "").isdigit():
        return f"{words}; did you mean {value}/32?"
    return words


def _not_one_of(expected: str, value: Any) -> str:
    choices = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    words = f"must be one of {', '.join(choices)}"
    meant = did_you_mean(str(value), choices)
    return f"{words}; did you mean {meant}?" if meant else words


def _wrong_type(wanted: str, value: Any) -> str:
    if wanted == "text" and not isinstance(value, dict | list) and value is not None:
        return f"must be text, and YAML reads this as {_type_of(value)}: put it in quotes"
    if wanted == "a list" and isinstance(value, str | int):
        return f"must be a list: [{value}]"
    if wanted == "a whole number" and isinstance(value, str) and value.isdigit():
        return f"must be a whole number: {value} without quotes"
    return f"must be {wanted}, and this is {_type_of(value)}"


def _type_of(value: Any) -> str:
    names: list[tuple[type, str]] = [
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number with a fraction"),
        (str, "text"),
        (list, "a list"),
        (dict, "keys and values"),
    ]
    if value is None:
        return "nothing"
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _wrong_length(context: dict[str, Any], actual: int) -> str:
    least, most = context.get("min_length"), context.get("max_length")
    wanted = f"at least {least}" if least is not None else f"at most {most}"
    return f"must have {wanted} {'entry' if (least or most) == 1 else 'entries'}, this has {actual}"
