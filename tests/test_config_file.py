"""The configuration file: every mistake at once, each with its line, a caret and what was probably meant."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dockeree.config import Config
from dockeree.config_file import config_schema, load_config, parse_config
from dockeree.errors import ConfigError

ROOT = Path(__file__).parent.parent
MINIMAL = "name: demo\nadmin_cidrs: [203.0.113.7/32]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "config.yaml")
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


def heads(text: str) -> list[str]:
    return [problem.splitlines()[0] for problem in problems(text)]


def test_two_keys_are_enough_and_the_rest_are_defaults() -> None:
    config = parse_config(MINIMAL, "config.yaml")
    assert config == Config(name="demo", admin_cidrs=("203.0.113.7/32",))
    assert config.workers.count == 3


def test_the_example_holds_every_key_with_its_default() -> None:
    config = load_config(ROOT / "config.example.yaml")
    assert config == Config(name="demo", admin_cidrs=("auto",), region="us-east-1")
    import yaml

    written = yaml.safe_load((ROOT / "config.example.yaml").read_text())
    expected = config.model_dump(mode="json")
    assert list(written) == list(expected), "every key, in the schema's order"
    for section, values in expected.items():
        if isinstance(values, dict):
            assert list(written[section]) == list(values), section


def test_three_planted_mistakes_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "name: demo\nadmin_cidrs: [auto]\nworkers:\n  cuont: 3\nmanagers:\n  volume_gib: big\n"
        "engine:\n  source: dokcer\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert list(caught.value.problems) == [
        f"{path}:4:3: workers.cuont: unknown key; did you mean count?\n    4 |   cuont: 3\n      |   ^^^^^",
        f"{path}:6:3: managers.volume_gib: must be a whole number, and this is text\n"
        "    6 |   volume_gib: big\n      |   ^^^^^^^^^^",
        f"{path}:8:3: engine.source: must be one of ubuntu, preinstalled, mirantis, docker; did you mean docker?\n"
        "    8 |   source: dokcer\n      |   ^^^^^^",
    ]
    assert caught.value.message == f"{path}: 3 mistakes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: demo", ["1:1: admin_cidrs: this required key is missing: Who may reach SSH and the consoles"]),
        ("admin_cidrs: [auto]", ["1:1: name: this required key is missing: The cluster's name: 2 to 12 of a-z, 0-9"]),
        (f"{MINIMAL}name: other", ["3:1: name: this key stands in line 1 already"]),
        (f"{MINIMAL}workers: {{count: 2}}\nworkers: {{cuont: 2}}", ["4:1: workers: this key", "4:11: workers.cuont:"]),
        (f"{MINIMAL}count: 3", ["3:1: count: unknown key here; did you mean workers.count?"]),
        (f"{MINIMAL}apps: {{dns: 3}}", ["3:8: apps.dns: unknown key here; did you mean dns at the left margin?"]),
        ("name: yes\nadmin_cidrs: [auto]", ["1:1: name: must be text, and YAML reads this as true or false: put"]),
        (f"{MINIMAL}workers: {{count: '3'}}", ["3:11: workers.count: must be a whole number: 3 without quotes"]),
        (f"{MINIMAL}workers: {{count: true}}", ["3:11: workers.count: must be a whole number, and this is true or"]),
        (f"{MINIMAL}workers: 3", ["3:1: workers: must be keys and values, and this is a number"]),
        (f"{MINIMAL}managers: {{volume_gib: 5}}", ["3:12: managers.volume_gib: must be at least 25"]),
        (f"{MINIMAL}apps: {{ports: []}}", ["3:8: apps.ports: must have at least 1 entry, this has 0"]),
        ("name: demo\nadmin_cidrs: auto", ["2:1: admin_cidrs: must be a list: [auto]"]),
        (
            "name: demo\nadmin_cidrs: [203.0.113.7]",
            ["2:15: admin_cidrs.0: must be an IPv4 range such as 203.0.113.7/32"],
        ),
        (f"{MINIMAL}tags: {{cost: 4711}}", ["3:8: tags.cost: must be text, and YAML reads this as a number: put it"]),
        (
            f"{MINIMAL}ucp: {{domain: UCP}}",
            ["3:7: ucp.domain: must be a domain name such as ucp.example.com, in lower"],
        ),
        ("", ["1:1: the file must hold keys and values"]),
        ("- name: demo", ["1:1: the file must hold keys and values"]),
        ("name: [demo", ["1:12: while parsing a flow sequence"]),
        ("name: demo\n\tregion: x", ["2:1: a tab: YAML is indented with spaces"]),
        ("name: demo\n---\nname: demo", ["2:1: expected a single document"]),
        ("name: &a [*a]", ["1:7: this refers to itself"]),
        ("name: !!python/object:os.system x", ["1:7: could not determine a constructor"]),
        ("name: \x07", ["1:7: a character that YAML does not allow"]),
        ("? [a, b]\n: c", ["1:3: a key must be a word"]),
    ],
)
def test_each_mistake_is_named_with_its_place(text: str, expected: list[str]) -> None:
    found = heads(text)
    assert len(found) == len(expected), found
    for head, start in zip(found, expected, strict=True):
        assert head.startswith(f"config.yaml:{start}"), head


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers: {min: 5, count: 4}", ["3:19: workers.count: count 4 is below min 5"]),
        ("workers: {count: 20}", ["3:11: workers.count: count 20 is above max 10"]),
        ("workers: {min: 11, count: 11}", ["3:11: workers.min: min 11 is above max 10"]),
        (
            "network: {vpc_cidr: 10.32.1.0/16}",
            ["3:11: network.vpc_cidr: 10.32.1.0/16 has bits set beyond its prefix; did"],
        ),
        ("network: {vpc_cidr: 10.300.0.0/16}", ["3:11: network.vpc_cidr: 10.300.0.0/16 is not an IPv4 range"]),
        (
            "network: {vpc_cidr: 10.32.0.0/24}",
            ["3:11: network.vpc_cidr: a VPC's range must be /16 to /22, this is /24"],
        ),
        (
            "network: {vpc_cidr: 10.0.0.0/15}",
            ["3:11: network.vpc_cidr: a VPC's range", "3:11: network.vpc_cidr: 10.0.0.0/15 ov"],
        ),
        (
            "network: {vpc_cidr: 172.17.0.0/16}",
            ["3:11: network.vpc_cidr: 172.17.0.0/16 overlaps 172.17.0.0/16, the engines'"],
        ),
        (
            "network: {vpc_cidr: 172.18.4.0/22}",
            ["3:11: network.vpc_cidr: 172.18.4.0/22 overlaps 172.18.0.0/16, the engines'"],
        ),
        (
            "network: {vpc_cidr: 192.168.0.0/20}",
            ["3:11: network.vpc_cidr: 192.168.0.0/20 overlaps 192.168.0.0/16, UCP's pods"],
        ),
        (
            "network: {vpc_cidr: 10.96.0.0/16}",
            ["3:11: network.vpc_cidr: 10.96.0.0/16 overlaps 10.96.0.0/16, UCP's services"],
        ),
        (
            "network: {vpc_cidr: 10.1.0.0/16}",
            ["3:11: network.vpc_cidr: 10.1.0.0/16 overlaps 10.1.0.0/24, DTR's overlay"],
        ),
        ("network: {vpc_cidr: 10.130.0.0/16}", ["3:1: network.swarm_pool: 10.128.0.0/10 overlaps network.vpc_cidr"]),
        ("network: {swarm_pool: 10.200.0.0/24}", ["3:11: network.swarm_pool: each overlay network takes a /24"]),
        ("dns: {hosted_zone_id: Z123}", ["3:7: dns.hosted_zone_id: no record is to be made"]),
        ("ucp: {domain: a.example.com}\ndtr: {domain: a.example.com}", ["4:7: dtr.domain: ucp.domain is the same"]),
        ("engine: {channel: stable}", ["3:10: engine.channel: source ubuntu has no channels"]),
        ("apps: {ports: [80, 443, 80]}", ["3:25: apps.ports.2: 80 is listed twice"]),
        ("apps: {ports: [22]}", ["3:16: apps.ports.0: 22 is SSH on every worker"]),
        ("apps: {ports: [2377]}", ["3:16: apps.ports.0: 2377 is swarm management on every worker"]),
        ("tags: {'aws:x': y}", ["3:8: tags.aws:x: tags beginning with aws: are not yours"]),
        ("tags: {Name: y}", ["3:8: tags.Name: dockeree names each resource itself"]),
        (
            "region: us-east-1\navailability_zones: [us-east-1a, us-east-1a, eu-west-1a]",
            [
                "4:34: availability_zones.1: us-east-1a is listed twice",
                "4:46: availability_zones.2: eu-west-1a is not in",
            ],
        ),
    ],
)
def test_rules_between_keys(text: str, expected: list[str]) -> None:
    found = heads(MINIMAL + text)
    assert len(found) == len(expected), found
    for head, start in zip(found, expected, strict=True):
        assert head.startswith(f"config.yaml:{start}"), head


def test_admin_cidrs_are_checked_one_by_one() -> None:
    assert [head.partition(": ")[0] for head in heads("name: demo\nadmin_cidrs: [bad, 10.0.0.1/8, auto, auto]")] == [
        "config.yaml:2:15",
        "config.yaml:2:20",
        "config.yaml:2:38",
    ]


def test_a_wrong_value_is_reported_once_and_not_through_the_rules_that_use_it() -> None:
    found = heads(f"{MINIMAL}workers: {{count: 20, max: '30'}}")
    assert [head.split(": ")[1] for head in found] == ["workers.max"]


def test_a_balancers_name_must_not_begin_with_internal() -> None:
    assert "internal-" in heads("name: internal\nadmin_cidrs: [auto]")[0]
    assert "internal-" in heads("name: internal-a\nadmin_cidrs: [auto]")[0]
    assert parse_config("name: internals\nadmin_cidrs: [auto]", "x").name == "internals"


def test_a_section_with_nothing_in_it_means_its_defaults() -> None:
    assert parse_config(f"{MINIMAL}network:\n  # vpc_cidr: 10.1.0.0/16\n", "x").network == Config.model_fields[
        "network"
    ].get_default(call_default_factory=True, validated_data={})


def test_merge_keys_and_anchors_work() -> None:
    config = parse_config(f"{MINIMAL}managers: &m {{volume_gib: 60}}\nworkers:\n  <<: *m\n  count: 2\n", "config.yaml")
    assert (config.managers.volume_gib, config.workers.volume_gib, config.workers.count) == (60, 60, 2)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_config(tmp_path / "config.yaml")
    assert "-c FILE" in caught.value.hint


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"name: demo\ntags: {a: \xff}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.problems[0].startswith(f"{path}:2:1: the file is not UTF-8")


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MINIMAL.encode())))
    assert load_config("-").name == "demo"


def test_the_schema_accepts_the_example_and_refuses_an_unknown_key() -> None:
    import yaml
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(config_schema())
    example = yaml.safe_load((ROOT / "config.example.yaml").read_text())
    assert list(validator.iter_errors(example)) == []
    assert list(validator.iter_errors(example | {"wrkers": 3}))


_keys = st.sampled_from(
    ["name", "admin_cidrs", "workers", "network", "apps", "tags", "count", "ports", "x", "dns", "ucp"]
)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text("ab:-# \n'", max_size=5)
    | st.sampled_from(["auto", "10.0.0.0/8", "demo"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_keys, _values, max_size=6))
def test_whatever_stands_in_the_file_ends_in_a_configuration_or_in_named_mistakes(data: dict[str, object]) -> None:
    import yaml

    text = yaml.safe_dump(data)
    found: list[str] | None = None
    try:
        parse_config(text, "config.yaml")
    except ConfigError as error:
        found = list(error.problems)
    assert found is None or (found and all(problem.startswith("config.yaml:") for problem in found))
