"""What no single key's type can say: rules between the configuration's keys.

Each rule yields `Mistake`s; `config_file.py` puts the line to them. A rule that needs a value which is itself
wrong is not asked about it (see config_file.load_config), so one slip is reported once.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from dockeree import compatibility
from dockeree.config import (
    DOCKER_BRIDGE_CIDR,
    DTR_OVERLAY_CIDR,
    GWBRIDGE_CIDR,
    POD_CIDR,
    SERVICE_CIDR,
    Config,
)

Path = tuple[str | int, ...]

RESERVED = {
    POD_CIDR: "UCP's pods",
    SERVICE_CIDR: "UCP's services",
    DTR_OVERLAY_CIDR: "DTR's overlay network",
    DOCKER_BRIDGE_CIDR: "the engines' docker0 bridge",
    GWBRIDGE_CIDR: "the engines' docker_gwbridge bridge",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local addresses (the metadata service)",
    "224.0.0.0/4": "multicast",
}
CONSOLE_PORTS = {443: "UCP", 6443: "Kubernetes' API", 4443: "DTR", 4080: "DTR's plain HTTP"}
"""What UCP and DTR listen on, on every manager."""
SWARM_PORTS = {2377: "swarm management", 4789: "overlay traffic", 7946: "swarm gossip"}
MAXIMUM_OWN_TAGS = 40
"""AWS takes 50 tags a resource; dockeree's own, the groups' and AWS's need the rest."""


@dataclass(frozen=True)
class Mistake:
    """Something wrong at `path` in the configuration. `compared_with` are the other keys that the rule looked at."""

    path: Path
    message: str
    compared_with: tuple[Path, ...] = ()


Rule = Callable[[Config], Iterator[Mistake]]


def broken_rules(config: Config) -> list[Mistake]:
    """Every rule that `config` breaks, in the order of the keys."""
    return [mistake for rule in RULES for mistake in rule(config)]


def did_you_mean(word: str, candidates: list[str]) -> str:
    """The candidate that `word` was probably meant to be, or an empty string."""
    return next(iter(difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)), "")


def _name(config: Config) -> Iterator[Mistake]:
    if f"{config.name}-".startswith("internal-"):
        yield Mistake(("name",), "a load balancer's name must not begin with internal-, and it begins with this name")


def _addresses(config: Config) -> Iterator[Mistake]:
    valid: dict[Path, ipaddress.IPv4Network] = {}
    for key in ("vpc_cidr", "swarm_pool"):
        path = ("network", key)
        text = getattr(config.network, key)
        if problem := cidr_problem(text):
            yield Mistake(path, problem)
        else:
            valid[path] = ipaddress.IPv4Network(text)
    yield from _sizes(valid)
    yield from _overlaps(valid)


def _sizes(valid: dict[Path, ipaddress.IPv4Network]) -> Iterator[Mistake]:
    vpc = valid.get(("network", "vpc_cidr"))
    if vpc and not 16 <= vpc.prefixlen <= 22:
        yield Mistake(("network", "vpc_cidr"), f"a VPC's range must be /16 to /22, this is /{vpc.prefixlen}")
    pool = valid.get(("network", "swarm_pool"))
    if pool and pool.prefixlen > 20:
        yield Mistake(
            ("network", "swarm_pool"),
            f"each overlay network takes a /24 of it: a /{pool.prefixlen} is too small, /20 is the least",
        )


def _overlaps(valid: dict[Path, ipaddress.IPv4Network]) -> Iterator[Mistake]:
    for path, network in valid.items():
        for cidr, whose in RESERVED.items():
            if network.overlaps(ipaddress.IPv4Network(cidr)):
                yield Mistake(path, f"{network} overlaps {cidr}, {whose}")
    for (path, network), (other_path, other) in combinations(valid.items(), 2):
        if network.overlaps(other):
            yield Mistake(other_path, f"{other} overlaps {'.'.join(map(str, path))} {network}", (path,))


def cidr_problem(text: str) -> str:
    """What is wrong with an IPv4 range, or an empty string."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return f"{text} is not an IPv4 range: four numbers up to 255, a slash and 0 to 32"
    return "" if str(network) == text else f"{text} has bits set beyond its prefix; did you mean {network}?"


def _admin_cidrs(config: Config) -> Iterator[Mistake]:
    for index, cidr in enumerate(config.admin_cidrs):
        path = ("admin_cidrs", index)
        if cidr != "auto" and (problem := cidr_problem(cidr)):
            yield Mistake(path, problem)
        elif cidr in config.admin_cidrs[:index]:
            yield Mistake(path, f"{cidr} is listed twice")


def _zones(config: Config) -> Iterator[Mistake]:
    zones = config.availability_zones or ()
    for index, zone in enumerate(zones):
        path = ("availability_zones", index)
        if zone in zones[:index]:
            yield Mistake(path, f"{zone} is listed twice: each manager has a zone of its own")
        elif config.region and not zone.startswith(config.region):
            yield Mistake(path, f"{zone} is not in {config.region}", (("region",),))


def _workers(config: Config) -> Iterator[Mistake]:
    workers = config.workers
    least, most, count = ("workers", "min"), ("workers", "max"), ("workers", "count")
    if workers.min > workers.max:
        yield Mistake(least, f"min {workers.min} is above max {workers.max}", (most,))
    elif workers.count < workers.min:
        yield Mistake(count, f"count {workers.count} is below min {workers.min}", (least,))
    elif workers.count > workers.max:
        yield Mistake(count, f"count {workers.count} is above max {workers.max}", (most,))


def _engine(config: Config) -> Iterator[Mistake]:
    if config.engine.channel is not None and config.engine.source in ("ubuntu", "preinstalled"):
        yield Mistake(
            ("engine", "channel"),
            f"source {config.engine.source} has no channels; only mirantis and docker have",
            (("engine", "source"),),
        )


def _names(config: Config) -> Iterator[Mistake]:
    if config.ucp.domain and config.ucp.domain == config.dtr.domain:
        yield Mistake(
            ("dtr", "domain"),
            "ucp.domain is the same: each console has a balancer and a name of its own",
            (("ucp", "domain"),),
        )
    if config.dns.hosted_zone_id and not (config.ucp.domain or config.dtr.domain):
        yield Mistake(
            ("dns", "hosted_zone_id"),
            "no record is to be made: set ucp.domain or dtr.domain, or leave this out",
            (("ucp", "domain"), ("dtr", "domain")),
        )


def _consoles(config: Config) -> Iterator[Mistake]:
    for key in ("ucp", "dtr"):
        console = getattr(config, key)
        if console.certificate and not console.domain:
            yield Mistake(
                (key, "certificate"),
                f"a certificate of your own is for a name of your own: set {key}.domain",
                ((key, "domain"),),
            )
    if config.ucp.enabled and config.ssh.port in CONSOLE_PORTS:
        yield Mistake(("ssh", "port"), f"{config.ssh.port} is {CONSOLE_PORTS[config.ssh.port]}'s on every manager")


def _versions(config: Config) -> Iterator[Mistake]:
    compared = (("ucp", "image"), ("dtr", "image"), ("engine", "channel"))
    for key, reason in compatibility.problems(config):
        path = tuple(key.split("."))
        yield Mistake(path, reason, tuple(other for other in compared if other != path))


def _ports(config: Config) -> Iterator[Mistake]:
    taken = {config.ssh.port: "SSH"} | SWARM_PORTS
    for index, port in enumerate(config.apps.ports):
        path = ("apps", "ports", index)
        if port in config.apps.ports[:index]:
            yield Mistake(path, f"{port} is listed twice")
        elif port in taken:
            yield Mistake(
                path, f"{port} is {taken[port]} on every worker: it would be open to the Internet", (("ssh", "port"),)
            )


def _tags(config: Config) -> Iterator[Mistake]:
    if len(config.tags) > MAXIMUM_OWN_TAGS:
        yield Mistake(("tags",), f"{len(config.tags)} tags; AWS takes 50 a resource, {MAXIMUM_OWN_TAGS} are yours")
    for key, value in config.tags.items():
        if key.lower().startswith(("aws:", "dockeree:")):
            yield Mistake(("tags", key), f"tags beginning with {key.split(':')[0]}: are not yours to set")
        elif key == "Name":
            yield Mistake(("tags", key), "dockeree names each resource itself")
        elif not 1 <= len(key) <= 128:
            yield Mistake(("tags", key), f"a tag's key has 1 to 128 characters, this has {len(key)}")
        elif len(value) > 256:
            yield Mistake(("tags", key), f"a tag's value has 256 characters at most, this has {len(value)}")


RULES: tuple[Rule, ...] = (
    _name,
    _admin_cidrs,
    _zones,
    _tags,
    _addresses,
    _workers,
    _engine,
    _names,
    _consoles,
    _versions,
    _ports,
)
