"""The life of a cluster in the account: up, up again, destroy; and nothing before is anything else than after."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from support.account_scan import Scan, difference, scan
from support.cloud import Cloud, changing
from support.tag_scan import tags_of_everything

from dockeree.workflows.destroy import destroy, inventory
from dockeree.workflows.up import CLOUD, up

LOCK_CALLS = {"ssm PutParameter", "ssm DeleteParameter"}
EXPECTED = {
    "instance": 6,
    "volume": 6,
    "interface": 15,
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
    "hosted zone": 3,
}
"""What a cluster of three managers and three workers is made of; a VPC brings a route table and a group of its own."""


@pytest.fixture
def before(cloud: Cloud) -> Iterator[Scan]:
    """The account as it was; at the end of the test it must be that again."""
    first = own(cloud)
    yield first
    assert difference(first, own(cloud)) == {}


def own(cloud: Cloud) -> Scan:
    """The account without AWS's own public parameters."""
    key, secret = cloud.api.server.operator
    found = scan(endpoint_url=cloud.api.url, aws_access_key_id=key, aws_secret_access_key=secret)
    found["parameter"] = {name for name in found["parameter"] if not name.startswith("/aws/")}
    return found


def counts(before: Scan, after: Scan) -> dict[str, int]:
    return {kind: len(ids - before[kind]) for kind, ids in after.items() if ids - before[kind] and kind != "parameter"}


def test_up_again_changes_nothing_and_destroy_leaves_nothing(cloud: Cloud, before: Scan) -> None:
    summary = up(cloud.cluster(), CLOUD)
    assert summary.changed
    after_first = own(cloud)
    assert counts(before, after_first) == EXPECTED

    again: list[Any] = []
    calls = changing(cloud.calls(lambda: again.append(up(cloud.cluster(), CLOUD))))
    assert not again[0].changed
    assert set(calls) == LOCK_CALLS, calls
    assert len(calls) == 2
    assert difference(after_first, own(cloud)) == {}

    removed = destroy(cloud.cluster(), CLOUD)
    assert removed.left == ()
    assert Counter(item.kind for item in removed.removed)["instance"] == 6
    assert not (cloud.folder / ".dockeree").exists()


def test_all_local_files_lost_between_every_command(cloud: Cloud, before: Scan) -> None:
    first = cloud.cluster(folder=cloud.folder / "one")
    (cloud.folder / "one").mkdir()
    up(first, CLOUD)
    (cloud.folder / "two").mkdir()
    second = cloud.cluster(folder=cloud.folder / "two")
    calls = changing(cloud.calls(lambda: up(second, CLOUD)))
    assert set(calls) == LOCK_CALLS, calls
    assert second.id == first.id
    assert second.state.ssh_key_path.read_text() == first.state.ssh_key_path.read_text()
    assert second.state.ssh_key_path.stat().st_mode & 0o777 == 0o600
    (cloud.folder / "three").mkdir()
    assert destroy(cloud.cluster(folder=cloud.folder / "three"), CLOUD).left == ()


def test_destroy_without_state_and_without_claim(cloud: Cloud, before: Scan) -> None:
    up(cloud.cluster(), CLOUD)
    cloud.api.client("ssm").delete_parameter(Name="/dockeree/demo/cluster")
    (cloud.folder / "elsewhere").mkdir()
    assert destroy(cloud.cluster(folder=cloud.folder / "elsewhere"), CLOUD).left == ()


def test_up_takes_its_cluster_back_when_the_claim_was_deleted(cloud: Cloud, before: Scan) -> None:
    first = cloud.cluster()
    up(first, CLOUD)
    standing = own(cloud)
    cloud.api.client("ssm").delete_parameter(Name="/dockeree/demo/cluster")
    (cloud.folder / "elsewhere").mkdir()
    second = cloud.cluster(folder=cloud.folder / "elsewhere")
    up(second, CLOUD)
    assert second.id == first.id
    assert difference(standing, own(cloud)) == {}
    destroy(second, CLOUD)


def test_everything_is_tagged_from_the_call_that_creates_it(cloud: Cloud, before: Scan) -> None:
    cluster = cloud.cluster(tags={"team": "platform"})
    up(cluster, CLOUD)
    wanted = {"dockeree:cluster": "demo", "dockeree:id": cluster.id, "team": "platform"}
    everything = tags_of_everything(cloud.api.client)
    assert len(everything) > 100, "the search for what should be tagged found too little"
    untagged = {what: tags for what, tags in everything.items() if not wanted.items() <= tags.items()}
    assert untagged == {}
    late = [call for call in cloud.api.control("GET", "/lab/calls") if "Tag" in call["action"]]
    assert {call["action"] for call in late if not call["action"].startswith(("Describe", "Get", "List"))} <= {
        "ChangeTagsForResource"  # Route 53 takes no tags in its creating call
    }
    destroy(cluster, CLOUD)


def test_no_secret_in_state_user_data_or_tags(cloud: Cloud, before: Scan) -> None:
    cluster = cloud.cluster()
    up(cluster, CLOUD)
    key_lines = [
        line
        for line in cluster.state.ssh_key_path.read_text().splitlines()
        if re.fullmatch(r"[A-Za-z0-9+/=]{40,}", line)
    ]
    assert key_lines
    public = cloud.api.client("ec2").describe_key_pairs(IncludePublicKey=True)["KeyPairs"][0]["PublicKey"]
    # The public half is part of the private key's text; all else of it is secret.
    secret = [line for line in key_lines if line not in public]
    places = [cluster.state.path.read_text(), str(tags_of_everything(cloud.api.client))]
    places += [spec.user_data.hex() for spec in cloud.api.driver.specs.values()]
    claim = cloud.api.client("ssm").get_parameter(Name="/dockeree/demo/cluster")["Parameter"]["Value"]
    assert not [line for line in secret for place in [*places, claim] if line in place]
    destroy(cluster, CLOUD)


def test_the_inventory_changes_nothing_and_sees_everything(cloud: Cloud, before: Scan) -> None:
    cluster = cloud.cluster()
    assert inventory(cluster).removes == ()
    up(cluster, CLOUD)
    found: list[Any] = []
    assert changing(cloud.calls(lambda: found.append(inventory(cluster)))) == []
    assert found[0].counts["instance"] == 6
    assert found[0].counts["VPC"] == 1
    destroy(cluster, CLOUD)
    assert inventory(cluster).removes == ()


@pytest.mark.parametrize("killed_after", [3, 12, 25, 40, 55])
def test_killed_anywhere_up_continues_and_each_resource_is_there_once(
    cloud: Cloud, before: Scan, killed_after: int
) -> None:
    """Not between steps only: at the given changing call, in the middle of whatever steps are under way."""
    broken = cloud.cluster()
    assert kill(cloud, broken, killed_after, lambda: up(broken, CLOUD))
    up(cloud.cluster(), CLOUD)
    assert counts(before, own(cloud)) == EXPECTED
    destroy(cloud.cluster(), CLOUD)


@pytest.mark.parametrize("killed_after", [2, 9, 20])
def test_destroy_continues_where_it_was_killed(cloud: Cloud, before: Scan, killed_after: int) -> None:
    up(cloud.cluster(), CLOUD)
    broken = cloud.cluster()
    assert kill(cloud, broken, killed_after, lambda: destroy(broken, CLOUD))
    (cloud.folder / "elsewhere").mkdir()
    assert destroy(cloud.cluster(folder=cloud.folder / "elsewhere"), CLOUD).left == ()


def test_destroy_after_up_was_killed(cloud: Cloud, before: Scan) -> None:
    broken = cloud.cluster()
    assert kill(cloud, broken, 45, lambda: up(broken, CLOUD))
    (cloud.folder / "elsewhere").mkdir()
    assert destroy(cloud.cluster(folder=cloud.folder / "elsewhere"), CLOUD).left == ()


class Killed(BaseException):
    """The process is gone: no call is made any more, in no thread."""


def kill(cloud: Cloud, cluster: Any, after: int, run: Any) -> bool:
    """Run until `after` changing calls were made, then let every call end the thread that makes it.

    The lock that it leaves behind is made a dead process's: this process, whose number it has, goes on.
    """
    made = 0

    def observe(_service: str, operation: str) -> None:
        nonlocal made
        if made >= after:
            raise Killed
        if not operation.startswith(("Describe", "Get", "List", "Head")):
            made += 1

    cluster.aws.observers.append(observe)
    try:
        run()
    except BaseException:  # noqa: BLE001 - it reports what died in it as a failed step, or dies itself
        ssm = cloud.api.client("ssm")
        holder = json.loads(ssm.get_parameter(Name="/dockeree/demo/lock")["Parameter"]["Value"])
        dead = json.dumps(holder | {"process_started": "0"})
        ssm.put_parameter(Name="/dockeree/demo/lock", Value=dead, Type="String", Overwrite=True)
        return True
    return False


def test_the_eventual_consistency_of_every_new_id(cloud: Cloud, before: Scan) -> None:
    cloud.api.control("POST", "/lab/faults", {"eventual_consistency": True})
    up(cloud.cluster(), CLOUD)
    assert counts(before, own(cloud)) == EXPECTED
    assert destroy(cloud.cluster(), CLOUD).left == ()


def test_throttling_lost_connections_and_failing_servers_are_survived(cloud: Cloud, before: Scan) -> None:
    faults: list[dict[str, Any]] = [
        {"action": "RunInstances", "code": "RequestLimitExceeded", "times": 3},
        {"action": "CreateLoadBalancer", "code": "Throttling", "times": 2},
        {"action": "CreateRole", "code": "ServiceUnavailable", "times": 2},
        {"action": "DescribeSubnets", "drop": True, "times": 2},
    ]
    for fault in faults:
        cloud.api.control("POST", "/lab/faults", fault)
    up(cloud.cluster(), CLOUD)
    assert counts(before, own(cloud)) == EXPECTED
    assert destroy(cloud.cluster(), CLOUD).left == ()
