"""Which versions go together: the defaults do, what cannot work is refused where it stands, the rest is a warning."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from dockeree import compatibility
from dockeree.config import Config
from dockeree.config_file import parse_config
from dockeree.errors import ConfigError


def config(ucp: str = "mirantis/ucp:3.8.12", dtr: str = "mirantis/dtr:2.9.29", **sections: Any) -> Config:
    consoles = {"ucp": {"image": ucp}, "dtr": {"enabled": True, "image": dtr}}
    values = {"name": "demo", "admin_cidrs": ["auto"], **consoles, **sections}
    return Config.model_validate(values)


def test_the_defaults_go_together_and_are_maintained() -> None:
    on = {"enabled": True}
    defaults = Config.model_validate({"name": "demo", "admin_cidrs": ["auto"], "ucp": on, "dtr": on})
    assert compatibility.problems(defaults) == []
    assert compatibility.warnings(defaults, date(2026, 11, 24)) == []


@pytest.mark.parametrize(
    ("settings", "key", "reason"),
    [
        ({"ucp": "mirantis/ucp:4.1.0"}, "ucp.image", "no Swarm"),
        ({"ucp": "mirantis/ucp:4"}, "ucp.image", "no Swarm"),
        ({"dtr": "registry.mirantis.com/msr/dtr:3.1.0"}, "dtr.image", "Kubernetes"),
        ({"ucp": "mirantis/ucp:3.5.9", "dtr": "registry.mirantis.com/msr/dtr:2.10.0"}, "dtr.image", "MKE 3.6 to 3.9"),
        ({"ucp": "docker/ucp:3.8.12"}, "ucp.image", "did you mean mirantis/ucp:3.8.12?"),
        ({"dtr": "mirantis/dtr:2.10.0"}, "dtr.image", "did you mean registry.mirantis.com/msr/dtr:2.10.0?"),
        ({"ucp": "mirantis/ucp:latest"}, "ucp.image", "does not begin with a version"),
        (
            {
                "ucp": "mirantis/ucp:3.9.6",
                "dtr": "registry.mirantis.com/msr/dtr:2.10.0",
                "engine": {"source": "mirantis", "channel": "stable-23.0"},
            },
            "ucp.image",
            "25.0.12",
        ),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], key: str, reason: str) -> None:
    found = compatibility.problems(config(**settings))
    assert [place for place, _ in found] == [key]
    assert reason in found[0][1]


def test_a_mirror_s_names_are_its_own_and_what_is_not_installed_is_not_judged() -> None:
    assert compatibility.problems(config("mirror.example.com:5000/ucp:3.8.12")) == []
    without = config("mirantis/ucp:4.0.0")
    off = without.model_copy(update={"ucp": without.ucp.model_copy(update={"enabled": False})})
    assert compatibility.problems(off) == []


def test_a_channel_that_may_hold_the_needed_engine_is_not_refused() -> None:
    newest = "registry.mirantis.com/msr/dtr:2.10.0"
    for channel in ("stable-25.0", "stable-25.0.14", "stable-29.4"):
        assert compatibility.problems(config("mirantis/ucp:3.9.6", newest, engine=_mirantis(channel))) == []
    assert compatibility.problems(config("mirantis/ucp:3.9.6", newest, engine=_mirantis("stable-25.0.11")))


def _mirantis(channel: str) -> dict[str, str]:
    return {"source": "mirantis", "channel": channel}


def test_what_is_not_known_or_not_maintained_any_more_is_a_warning() -> None:
    old = config("mirantis/ucp:3.7.25", "mirantis/dtr:2.9.29")
    words = compatibility.warnings(old, date(2026, 11, 24))
    assert any("3.7 is not maintained since 2025-08-29" in word for word in words)
    assert any("UCP 3.7 with DTR 2.9 is no combination known to work" in word for word in words)
    assert not any("maintained" in word for word in compatibility.warnings(old, date(2025, 1, 1)))


def test_the_mistake_is_shown_in_its_line() -> None:
    text = "name: demo\nadmin_cidrs: [auto]\nucp:\n  image: mirantis/ucp:4.0.0\n  enabled: true\n"
    with pytest.raises(ConfigError) as wrong:
        parse_config(text, "config.yaml")
    assert wrong.value.problems[0].startswith("config.yaml:4:3: ucp.image: UCP 4.0.0: MKE 4 runs Kubernetes alone")


def test_a_certificate_needs_its_domain_and_all_its_files() -> None:
    text = "name: demo\nadmin_cidrs: [auto]\ndtr:\n  on: managers\n  certificate: {ca: a, cert: b}\n"
    with pytest.raises(ConfigError) as wrong:
        parse_config(text, "config.yaml")
    assert len(wrong.value.problems) == 1
    assert "dtr.certificate.key: this required key is missing: Path of its private key" in wrong.value.problems[0]
    with pytest.raises(ConfigError, match="one mistake") as wrong:
        parse_config(text.replace("cert: b", "cert: b, key: c"), "config.yaml")
    assert "set dtr.domain" in wrong.value.problems[0]


def test_empty_sections_within_sections_mean_their_defaults() -> None:
    parsed = parse_config("name: demo\nadmin_cidrs: [auto]\ndtr:\n  s3:\n  on: dedicated\n", "config.yaml")
    assert parsed.dtr.s3.credentials == "role"
    assert parsed.dtr.on == "dedicated"
