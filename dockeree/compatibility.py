"""Which versions of UCP, DTR and the engine go together: compatibility.yaml, asked about a configuration.

What cannot work is refused; what is merely not known to work, or no longer maintained, is worth a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import yaml

from dockeree.config import Config

Version = tuple[int, ...]
MIRRORS = ("docker/", "mirantis/", "registry.mirantis.com/")
"""Repositories of the makers: an image from anywhere else is a mirror of the operator's, whose names are theirs."""


@dataclass(frozen=True)
class Image:
    """An installer's image taken apart: `mirantis/ucp:3.8.12`."""

    repository: str
    tag: str

    @property
    def version(self) -> Version | None:
        """The numbers at the beginning of the tag, None where there are none (`latest`)."""
        found = re.match(r"\d+(?:\.\d+)*", self.tag)
        return parse_version(found.group()) if found else None

    @property
    def series(self) -> str:
        """The first two numbers: `3.8`."""
        return ".".join(map(str, (self.version or ())[:2]))


def parse_image(name: str) -> Image:
    """Take an image's name apart at its tag."""
    repository, _, tag = name.rpartition(":")
    return Image(repository, tag)


def parse_version(text: str) -> Version:
    """`3.8.12` as numbers, which compare as versions do."""
    return tuple(int(number) for number in text.split("."))


def problems(config: Config) -> list[tuple[str, str]]:
    """What cannot work, as (`ucp.image` or `dtr.image`, why)."""
    versions = versions_of(config)
    images = {"ucp": parse_image(config.ucp.image), "dtr": parse_image(config.dtr.image)}
    found = []
    for product in _installed(config):
        if images[product].version is None:
            found.append((f"{product}.image", f"the tag {images[product].tag} does not begin with a version"))
        elif reason := _wrong_repository(product, images[product]):
            found.append((f"{product}.image", reason))
    for rule in _data()["refused"]:
        ranges = {product: limits for product, limits in rule.items() if product in ("ucp", "dtr", "mcr")}
        if all(product in versions and _is_within(versions[product], ranges[product]) for product in ranges):
            named = " with ".join(_words(product, versions[product]) for product in ranges)
            found.append((f"{next(iter(ranges))}.image", f"{named}: {rule['reason']} ({rule['source']})"))
    return found


def warnings(config: Config, today: date) -> list[str]:
    """What is not known to work, and what is no longer maintained."""
    found = []
    for product in _installed(config):
        image = parse_image(getattr(config, product).image)
        ended = _data()["end_of_life"][product].get(image.series)
        if ended and ended <= today:
            found.append(f"{product}.image: {image.series} is not maintained since {ended}")
    ucp, dtr = parse_image(config.ucp.image).series, parse_image(config.dtr.image).series
    if config.has_dtr and not any((known["ucp"], known["dtr"]) == (ucp, dtr) for known in _data()["sets"]):
        sets = ", ".join(f"{known['ucp']} with {known['dtr']}" for known in _data()["sets"])
        found.append(
            f"UCP {ucp} with DTR {dtr} is no combination known to work (known on {_data()['checked']}: {sets})"
        )
    return found


def versions_of(config: Config) -> dict[str, Version]:
    """The versions that a configuration names: ucp, dtr, and mcr where the channel of Mirantis's engine tells it."""
    versions = {}
    for product in _installed(config):
        version = parse_image(getattr(config, product).image).version
        if version is not None:
            versions[product] = version
    channel = re.fullmatch(r"stable-(\d+(?:\.\d+)*)", config.engine.channel or "")
    if config.engine.source == "mirantis" and channel:
        versions["mcr"] = parse_version(channel.group(1))
    return versions


def _installed(config: Config) -> tuple[str, ...]:
    if not config.ucp.enabled:
        return ()
    return ("ucp", "dtr") if config.has_dtr else ("ucp",)


def _wrong_repository(product: str, image: Image) -> str:
    """Why an image of that version does not lie in that repository of its makers, or an empty string."""
    if not image.repository.startswith(MIRRORS) or image.version is None:
        return ""
    entries = _data()["repositories"][product]
    right = next(entry["repository"] for entry in entries if _is_within(image.version, entry))
    return "" if right == image.repository else f"{image.tag} lies in {right}; did you mean {right}:{image.tag}?"


def _is_within(version: Version, limits: Mapping[str, Any]) -> bool:
    """Compared as far as the version goes: the channel `25.0` may hold 25.0.12, so it is not below it."""
    first, end = limits.get("from"), limits.get("below")
    return not (first and version < parse_version(first)[: len(version)]) and not (
        end and version >= parse_version(end)[: len(version)]
    )


def _words(product: str, version: Version) -> str:
    return f"{product.upper()} {'.'.join(map(str, version))}"


@cache
def _data() -> dict[str, Any]:
    text = (resources.files("dockeree") / "compatibility.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data
