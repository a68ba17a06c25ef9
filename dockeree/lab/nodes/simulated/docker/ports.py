"""`--publish`: the short form (`8080:80/tcp`) and the long one (`mode=host,target=80,published=8080`)."""

from __future__ import annotations

from dockeree.lab.nodes.simulated.docker.flags import UsageError
from dockeree.lab.nodes.simulated.swarm.model import PublishedPort


def parse_publish(text: str) -> list[PublishedPort]:
    """The ports of one `--publish`. Raises UsageError in the client's words."""
    return _long(text) if "=" in text else _short(text)


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f'invalid argument "{text}" for "-p, --publish" flag: {why}', 125)


def _number(text: str, number: str) -> int:
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise _wrong(text, f"invalid port number: {number}")
    return int(number)


def _long(text: str) -> list[PublishedPort]:
    target, published, protocol, mode = 0, 0, "tcp", "ingress"
    for item in text.split(","):
        key, _, value = item.partition("=")
        if key == "target":
            target = _number(text, value)
        elif key == "published":
            published = _number(text, value)
        elif key == "protocol":
            protocol = value.lower()
        elif key == "mode":
            mode = value.lower()
        else:
            raise _wrong(text, f"invalid field key {key}")
    if mode not in ("ingress", "host"):
        raise _wrong(text, f"invalid publish mode value ({mode}): must be either 'ingress' or 'host'")
    if protocol not in ("tcp", "udp", "sctp"):
        raise _wrong(text, f"invalid protocol value '{protocol}'")
    if not target:
        raise _wrong(text, 'missing mandatory field "target"')
    return [PublishedPort(target, published, protocol, "host" if mode == "host" else "ingress")]


def _short(text: str) -> list[PublishedPort]:
    ports, _, protocol = text.partition("/")
    published, colon, target = ports.rpartition(":")
    if colon and not published:
        raise _wrong(text, f"invalid container port: {target}")
    return [PublishedPort(_number(text, target), _number(text, published) if published else 0, protocol or "tcp")]
