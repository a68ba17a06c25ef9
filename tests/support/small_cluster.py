"""A swarm as small as one can be, run by quick commands: what the stories of deaths and failures are about."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.account_scan import Scan, scan
from support.quick_command import Ended, QuickCommand
from support.running_lab import Operator

from dockeree.lab.control import RunningLab

GLOBAL_KINDS = ("role", "instance profile", "policy", "bucket", "hosted zone")
EXPECTED = {
    "instance": 5,
    "volume": 5,
    "interface": 14,
    "vpc": 1,
    "subnet": 3,
    "route table": 2,
    "gateway": 1,
    "security group": 6,
    "key pair": 1,
    "launch template": 1,
    "balancer": 3,
    "target group": 5,
    "group": 1,
    "role": 2,
    "instance profile": 2,
    "hosted zone": 1,
    "parameter": 3,
}
"""Three managers, two workers and what belongs to them; the claim, the key and the way in for workers as parameters."""


@dataclass(frozen=True)
class SmallCluster:
    """A cluster with a folder of its own. No other name in the lab may have its name in it: scan() looks for that."""

    name: str
    region: str
    operator: Operator

    @classmethod
    def make(cls, lab: RunningLab, folder: Path, name: str, region: str = "us-east-1") -> SmallCluster:
        """Make the folder and config.yaml."""
        folder.mkdir()
        cluster = cls(name, region, Operator(lab, folder))
        cluster.configure()
        return cluster

    def run(self, *arguments: str, environment: dict[str, str] | None = None, **options: Any) -> Ended:
        """Run `dockeree ARGUMENTS` quickly, perhaps with more in its environment; `options` are QuickCommand's."""
        env = self.operator.environment | (environment or {})
        return QuickCommand(arguments, str(self.operator.folder), env, **options).run()

    def up(self, boundary: str = "", passed: Path | None = None) -> Ended:
        """Run `up`; it dies at `boundary`."""
        return self.run("up", boundary=boundary, passed=str(passed or ""))

    def destroy(self, boundary: str = "", passed: Path | None = None) -> Ended:
        """Run `destroy`; it dies at `boundary`."""
        return self.run("destroy", "--confirm", self.name, boundary=boundary, passed=str(passed or ""))

    def configure(self, **changes: Any) -> None:
        """Write config.yaml: the smallest cluster's, with `changes` (sections are merged)."""
        small: dict[str, Any] = {
            "managers": {"instance_type": "t3.large"},
            "workers": {"instance_type": "t3.large", "count": 2, "min": 1},
            "ucp": {"enabled": False},
            "dtr": {"enabled": False},
        }
        for key, value in changes.items():
            small[key] = small.get(key, {}) | value if isinstance(value, dict) else value
        self.operator.configure(name=self.name, region=self.region, **small)

    def lose_local_files(self) -> None:
        """As if the operator's machine were a new one."""
        shutil.rmtree(self.operator.folder / ".dockeree", ignore_errors=True)

    def scan(self) -> Scan:
        """The region, and what no region holds as far as it has this cluster's name."""
        found = scan(self.region, **self.operator.credentials())
        zones = self.operator.client("route53").list_hosted_zones()["HostedZones"]
        found["hosted zone"] = {zone["Name"] for zone in zones}
        for kind in GLOBAL_KINDS:
            found[kind] = {name for name in found[kind] if self.name in name}
        found["parameter"] = {name for name in found["parameter"] if self.name in name}
        return found


def counts(before: Scan, after: Scan) -> dict[str, int]:
    """How many of each kind have come."""
    return {kind: len(ids - before[kind]) for kind, ids in after.items() if ids - before[kind]}
