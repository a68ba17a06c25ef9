"""The policy evaluator by itself: who may do what to which resource, under which conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockeree.lab.aws.policies import Ask, Decision, authorize, evaluate, matches

ALLOWED, NOT_ALLOWED, DENIED = Decision.ALLOWED, Decision.NOT_ALLOWED, Decision.DENIED
OWN = "arn:aws:ssm:us-east-1:123456789012:parameter/dockeree/demo/worker/join"
OTHER = "arn:aws:ssm:us-east-1:123456789012:parameter/dockeree/demo/operator/ssh-key"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any = "ssm:GetParameter", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "ssm:GetParameter", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def decide(
    *statements: dict[str, Any], action: str = "ssm:GetParameter", resource: str = OWN, **context: Any
) -> Decision:
    values = {key.replace("__", ":").lower(): (v if isinstance(v, tuple) else (v,)) for key, v in context.items()}
    return evaluate([document(*statements)], Ask(action, resource, values))


def test_nothing_is_allowed_unless_a_statement_allows_it():
    assert decide(allow("ssm:PutParameter")) is NOT_ALLOWED
    assert evaluate([], Ask("ssm:GetParameter", OWN)) is NOT_ALLOWED


def test_resources_count():
    own_path = allow(resource="arn:aws:ssm:*:*:parameter/dockeree/demo/worker/*")
    assert decide(own_path) is ALLOWED
    assert decide(own_path, resource=OTHER) is NOT_ALLOWED


def test_explicit_deny_wins():
    assert decide(allow(), deny(resource=OWN)) is DENIED
    assert decide(deny(resource=OWN), allow()) is DENIED
    assert decide(allow(), deny(resource=OTHER)) is ALLOWED


def test_actions_have_wildcards_and_no_case():
    for action in ("ssm:Get*", "SSM:getparameter", "ssm:GetParamete?", "*", ["s3:*", "ssm:*"]):
        assert decide(allow(action)) is ALLOWED
    for action in ("ssm:GetParameter?", "ssm:Put*", "s3:*"):
        assert decide(allow(action)) is NOT_ALLOWED


def test_resources_have_case():
    assert decide(allow(resource=OWN.replace("worker", "Worker"))) is NOT_ALLOWED


def test_not_action_and_not_resource():
    everything_but = {"Effect": "Allow", "NotAction": "ssm:*", "Resource": "*"}
    assert decide(everything_but) is NOT_ALLOWED
    assert decide(everything_but, action="s3:GetObject") is ALLOWED
    elsewhere = {"Effect": "Deny", "Action": "*", "NotResource": OWN}
    assert decide(allow(), elsewhere) is ALLOWED
    assert decide(allow(), elsewhere, resource=OTHER) is DENIED


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"aws:RequestTag/env": "demo"}}, {"aws__requesttag/env": "demo"}, True),
        ({"StringEquals": {"aws:RequestTag/env": ["a", "demo"]}}, {"aws__requesttag/env": "demo"}, True),
        ({"StringEquals": {"aws:RequestTag/env": "demo"}}, {"aws__requesttag/env": "Demo"}, False),
        ({"StringEquals": {"aws:RequestTag/env": "demo"}}, {}, False),
        ({"StringEqualsIfExists": {"aws:RequestTag/env": "demo"}}, {}, True),
        ({"StringEqualsIfExists": {"aws:RequestTag/env": "demo"}}, {"aws__requesttag/env": "x"}, False),
        ({"StringNotEquals": {"aws:RequestTag/env": "demo"}}, {"aws__requesttag/env": "x"}, True),
        ({"StringNotEquals": {"aws:RequestTag/env": ["demo", "x"]}}, {"aws__requesttag/env": "x"}, False),
        ({"StringNotEquals": {"aws:RequestTag/env": "demo"}}, {}, True),
        ({"StringEqualsIgnoreCase": {"aws:RequestTag/env": "DEMO"}}, {"aws__requesttag/env": "demo"}, True),
        ({"StringLike": {"s3:prefix": "backups/*"}}, {"s3__prefix": "backups/2026"}, True),
        ({"StringLike": {"s3:prefix": "backups/?"}}, {"s3__prefix": "backups/2026"}, False),
        ({"StringNotLike": {"s3:prefix": "backups/*"}}, {"s3__prefix": "backups/2026"}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/dockeree/*"}},
         {"aws__principalarn": "arn:aws:iam::123456789012:role/dockeree/worker"}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:role/worker"}},
         {"aws__principalarn": "arn:aws:iam::123456789012:role/worker"}, False),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/a"}},
         {"aws__principalarn": "arn:aws:iam::1:role/b"}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws__securetransport": "true"}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws__securetransport": "true"}, False),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.7"]}}, {"aws__sourceip": "10.32.0.5"}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": "11.0.0.1"}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": "11.0.0.1"}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3__max-keys": "10"}, True),
        ({"NumericGreaterThan": {"s3:max-keys": "10"}}, {"s3__max-keys": "10"}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}},
         {"aws__currenttime": "2026-11-24T00:00:00Z"}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
        ({"Null": {"aws:TokenIssueTime": "false"}}, {}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__tagkeys": ("a", "b")}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws__tagkeys": ("a", "b")}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws__tagkeys": ("a", "b")}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
        ({"StringEquals": {"a:b": "1", "c:d": "2"}}, {"a__b": "1", "c__d": "3"}, False),
        ({"StringEquals": {"a:b": "1"}, "StringLike": {"c:d": "2*"}}, {"a__b": "1", "c__d": "23"}, True),
    ],
)  # fmt: skip
def test_conditions(condition, context, holds):
    assert (decide(allow(Condition=condition), **context) is ALLOWED) == holds
    assert (decide(allow(), deny(Condition=condition), **context) is DENIED) == holds


@pytest.mark.parametrize("operator", ["StringSounds", "ForSomeValues:StringEquals", "stringequals"])
def test_an_unknown_operator_never_allows(operator):
    condition = {operator: {"aws:PrincipalArn": "*"}}
    assert decide(allow(Condition=condition), aws__principalarn="x") is NOT_ALLOWED
    assert decide(allow(), deny(Condition=condition), aws__principalarn="x") is DENIED


def test_policy_variables():
    own = allow("s3:GetObject", "arn:aws:s3:::homes/${aws:username}/*")
    ask = {"action": "s3:GetObject", "resource": "arn:aws:s3:::homes/anna/file"}
    assert decide(own, **ask, aws__username="anna") is ALLOWED
    assert decide(own, **ask, aws__username="otto") is NOT_ALLOWED
    assert decide(own, **ask) is NOT_ALLOWED


def test_boundary_and_session_limit():
    everything, reading, nothing = document(allow("*")), document(allow("ssm:Get*")), document(deny("*"))
    ask = Ask("ssm:PutParameter", OWN)
    assert authorize([everything], None, None, ask) is ALLOWED
    assert authorize([everything], [reading], None, ask) is NOT_ALLOWED
    assert authorize([everything], [everything], [reading], ask) is NOT_ALLOWED
    assert authorize([everything], [nothing], None, ask) is DENIED
    assert authorize([reading], [everything], None, ask) is NOT_ALLOWED


@given(st.text(), st.text())
def test_a_pattern_without_wildcards_matches_itself_alone(one, other):
    literal = one.replace("*", "").replace("?", "")
    assert matches(literal, literal)
    assert matches(literal, other) == (literal == other)
    assert matches(f"{literal}*", literal + other)
