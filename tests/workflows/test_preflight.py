"""The preflight: every reason against a cluster at once, before anything is created."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import quotas
from dockeree.aws.session import Aws
from dockeree.context import Cluster
from dockeree.errors import PreflightError
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.networking import CreateInternetGateway, CreateRouteTable, CreateSubnets, CreateVpc
from dockeree.steps.runner import run_steps
from dockeree.workflows.preflight import preflight, with_found


def problems(cluster: Cluster) -> list[str]:
    with pytest.raises(PreflightError) as caught:
        preflight(cluster)
    return list(caught.value.problems)


def test_it_finds_out_and_changes_nothing(cloud: Cloud) -> None:
    found: list[Any] = []
    assert changing(cloud.calls(lambda: found.append(preflight(cloud.cluster())))) == []
    assert found[0].zones == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert found[0].identity.account == "123456789012"
    assert found[0].vcpus_needed == 3 * 4 + 3 * 2


def test_configured_zones_are_taken_in_their_order(cloud: Cloud) -> None:
    zones = ["us-east-1d", "us-east-1a", "us-east-1b"]
    assert preflight(cloud.cluster(availability_zones=zones)).zones == tuple(zones)


def test_a_zone_that_is_none_is_refused_with_those_that_are(cloud: Cloud) -> None:
    found = problems(cloud.cluster(availability_zones=["us-east-1a", "us-east-1b", "us-east-1z"]))
    assert len(found) == 1
    assert "us-east-1z cannot hold" in found[0]
    assert "us-east-1a, us-east-1b, us-east-1c" in found[0]


def test_fewer_than_three_zones_are_refused(cloud: Cloud) -> None:
    from dataclasses import replace

    cluster = replace(cloud.cluster(), aws=Aws("us-west-1"))
    found = problems(cluster)
    assert any("us-west-1 has 2 availability zones that offer both m5.xlarge and m5.large" in text for text in found)
    assert any("a cluster needs 3" in text for text in found)


def test_zones_of_subnets_that_stand_stay(cloud: Cloud) -> None:
    steps = (ClaimCluster, CreateVpc, CreateInternetGateway, CreateSubnets, CreateRouteTable)
    zones = ["us-east-1d", "us-east-1a", "us-east-1b"]
    run_steps(cloud.cluster(availability_zones=zones), steps)
    assert preflight(cloud.cluster()).zones == tuple(zones)


def test_all_problems_come_at_once(cloud: Cloud, tmp_path: Any) -> None:
    found = problems(
        cloud.cluster(
            managers={"instance_type": "m5.2xlarge"},
            workers={"instance_type": "m6g.large"},
            ssh={"key": str(tmp_path / "no-key")},
            dns={"hosted_zone_id": "Z0123456789"},
            ucp={"domain": "ucp.example.com"},
            apps={"ports": list(range(8000, 8050))},
            admin_cidrs=[f"203.0.113.{number}/32" for number in range(30)],
        )
    )
    text = "\n".join(found)
    assert "m6g.large is arm64" in text
    assert "no-key" in text
    assert "no public hosted zone Z0123456789" in text
    assert "security group workers would need" in text


def test_vcpus_beyond_the_quota_are_counted_with_what_runs_already(cloud: Cloud) -> None:
    quota = quotas.find_quota(cloud.aws(), quotas.STANDARD_VCPUS)
    assert quota is not None
    count = int(quota)  # each m5.large has two
    found = problems(cloud.cluster(workers={"count": count, "max": count}))
    assert found == [
        f"{count * 2 + 12} vCPUs of standard instances are needed and {quota:g} of the quota's {quota:g} are free. Ask "
        "for more: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A "
        f"--desired-value {count * 2 + 12}"
    ]


def test_a_full_region_is_said_so(cloud: Cloud) -> None:
    ec2 = cloud.api.client("ec2")
    quota = quotas.find_quota(cloud.aws(), quotas.VPCS)
    assert quota is not None
    while quotas.vpcs_in_use(cloud.aws()) < quota:
        ec2.create_vpc(CidrBlock="10.99.0.0/16")
    found = problems(cloud.cluster())
    assert len(found) == 1
    assert f"the quota is {quota:g}" in found[0]
    assert "L-F678F1CE" in found[0]


def test_another_range_than_the_vpcs_is_refused(cloud: Cloud) -> None:
    run_steps(cloud.cluster(), (ClaimCluster, CreateVpc))
    found = problems(cloud.cluster(network={"vpc_cidr": "10.40.0.0/16"}))
    assert len(found) == 1
    assert "has 10.32.0.0/16, which cannot be changed" in found[0]


def test_another_accounts_state_is_refused(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    cluster.state.record_cluster(cluster_id="0000000a", region="us-east-1", account="999999999999", created_at="")
    assert "stands in account 999999999999" in problems(cluster)[0]


class Answer(BaseHTTPRequestHandler):
    """An address service."""

    text = "198.51.100.23\n"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def address_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answer]]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("DOCKEREE_ADDRESS_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield Answer
    server.shutdown()
    thread.join()
    server.server_close()


def test_auto_is_this_machines_public_address(cloud: Cloud, address_service: type[Answer]) -> None:
    cluster = cloud.cluster(admin_cidrs=["auto", "203.0.113.0/24"])
    found = preflight(cluster)
    assert found.admin_cidrs == ("198.51.100.23/32", "203.0.113.0/24")
    assert found.is_address_found
    assert with_found(cluster, found).config.admin_cidrs == found.admin_cidrs


def test_an_answer_that_is_no_address_is_a_problem(
    cloud: Cloud, address_service: type[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_service, "text", "<html>log in to the hotel's network</html>")
    found = problems(cloud.cluster(admin_cidrs=["auto"]))
    assert len(found) == 1
    assert "asks http://127.0.0.1" in found[0]
    assert "203.0.113.7/32" in found[0]
