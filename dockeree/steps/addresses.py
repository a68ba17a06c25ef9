"""This machine's public address, for `admin_cidrs: [auto]`."""

from __future__ import annotations

import ipaddress
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from dockeree.errors import PreflightError

ADDRESS_URL_VARIABLE = "DOCKEREE_ADDRESS_URL"
DEFAULT_ADDRESS_URL = "https://checkip.amazonaws.com"
TIMEOUT_SECONDS = 10.0


def public_address() -> str:
    """This machine's address as the internet sees it. Raises PreflightError when it cannot be found."""
    url = os.environ.get(ADDRESS_URL_VARIABLE) or DEFAULT_ADDRESS_URL
    if not url.startswith(("https://", "http://")):
        raise PreflightError(f"{ADDRESS_URL_VARIABLE} is not a URL: {url}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            text = answer.read(200).decode("ascii", "replace").strip()
        return str(ipaddress.IPv4Address(text))
    except (OSError, urllib.error.URLError, ipaddress.AddressValueError) as error:
        raise PreflightError(
            f"admin_cidrs: `auto` asks {url} for this machine's public address, and that failed: {error}",
            hint="Give your own addresses in `admin_cidrs`, for example 203.0.113.7/32.",
        ) from error


def resolved_admin_cidrs(configured: Sequence[str], find_address: Callable[[], str] = public_address) -> list[str]:
    """The configured CIDRs in their canonical form, `auto` replaced by this machine's address, each once."""
    cidrs = [f"{find_address()}/32" if cidr == "auto" else cidr for cidr in configured]
    return list(dict.fromkeys(str(ipaddress.ip_network(cidr, strict=False)) for cidr in cidrs))
