"""What a cluster costs an hour while nothing happens, by a dated list of prices (prices.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

HOURS_PER_MONTH = 730
NOT_COUNTED = ("traffic", "load balancer capacity units", "detailed monitoring", "DNS zones", "licences")


@dataclass(frozen=True)
class Cost:
    """`dollars_per_hour` is None where a price is not known; `not_known` says which."""

    dollars_per_hour: float | None
    dated: str
    not_known: tuple[str, ...] = ()
    not_counted: tuple[str, ...] = NOT_COUNTED

    @property
    def dollars_per_month(self) -> float | None:
        """730 hours."""
        return None if self.dollars_per_hour is None else self.dollars_per_hour * HOURS_PER_MONTH

    def __str__(self) -> str:
        if self.dollars_per_hour is None:
            return f"not known (no price of {', '.join(self.not_known)} in the list of {self.dated})"
        return f"${self.dollars_per_hour:.2f}/hour"


def hourly_cost(
    *, region: str, instances: Mapping[str, int], volume_gib: int, load_balancers: int, public_addresses: int
) -> Cost:
    """The cost of `instances` (how many by type), their gp3 volumes together, balancers and public IPv4 addresses.

    Every public address costs, also a balancer's, one in each zone.
    """
    prices = _prices()
    if region not in prices["regions"]:
        return Cost(None, prices["dated"], (f"the region {region}",))
    unknown = [instance_type for instance_type in instances if instance_type not in prices["instance_hour"]]
    if unknown:
        return Cost(None, prices["dated"], tuple(sorted(unknown)))
    dollars = sum(prices["instance_hour"][instance_type] * count for instance_type, count in instances.items())
    dollars += prices["gp3_gib_month"] * volume_gib / HOURS_PER_MONTH
    dollars += prices["load_balancer_hour"] * load_balancers
    dollars += prices["public_ipv4_hour"] * public_addresses
    return Cost(dollars, prices["dated"])


@cache
def _prices() -> Any:
    return yaml.safe_load((resources.files("dockeree.aws") / "prices.yaml").read_text(encoding="utf-8"))
