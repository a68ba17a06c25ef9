"""Keys and roles: the operator's key or the cluster's own, and nodes that read their own parameters and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import key_pairs, parameters, roles
from dockeree.errors import DockereeError
from dockeree.ssh import keys
from dockeree.steps.access import CreateKeyPair, CreateRoles, recover_key_file
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.runner import run_steps, undo_steps

KEY = (ClaimCluster, CreateKeyPair)
ROLES = (ClaimCluster, CreateRoles)
SSH_KEY = "/dockeree/demo/operator/ssh-key"


def test_an_own_key_is_kept_as_a_secret_and_beside_the_state(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    assert run_steps(cluster, KEY).changed
    path = cluster.state.ssh_key_path
    assert path.stat().st_mode & 0o777 == 0o600
    described = cloud.api.client("ssm").describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [SSH_KEY]}])[
        "Parameters"
    ]
    assert [item["Type"] for item in described] == ["SecureString"]
    assert parameters.get_parameter(cluster.aws, SSH_KEY).value == path.read_text()  # type: ignore[union-attr]
    pair = key_pairs.find_key_pair(cluster.aws, owner_of(cluster))
    assert pair is not None
    assert pair.public_key == keys.public_key(path).text
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(), KEY))) == []


def test_a_lost_file_is_written_again_and_a_lost_parameter_too(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, KEY)
    path = cluster.state.ssh_key_path
    text = path.read_text()
    path.unlink()
    assert recover_key_file(cluster)
    assert not recover_key_file(cluster)
    assert path.read_text() == text
    parameters.delete_parameter(cluster.aws, SSH_KEY)
    run_steps(cloud.cluster(), KEY)
    assert parameters.get_parameter(cluster.aws, SSH_KEY).value == text  # type: ignore[union-attr]


def test_a_key_that_is_lost_for_good_is_said_so_and_never_replaced(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, KEY)
    cluster.state.ssh_key_path.unlink()
    parameters.delete_parameter(cluster.aws, SSH_KEY)
    with pytest.raises(DockereeError, match="is lost"):
        run_steps(cloud.cluster(), KEY)
    assert parameters.get_parameter(cluster.aws, SSH_KEY) is None


def own_key(folder: Path, name: str = "id_ed25519") -> Path:
    path = folder / name
    path.write_text(keys.generate_private_key())
    return path


def test_the_operators_key_never_leaves_its_file(cloud: Cloud, tmp_path: Path) -> None:
    path = own_key(tmp_path)
    cluster = cloud.cluster(ssh={"key": str(path)})
    run_steps(cluster, KEY)
    assert parameters.get_parameter(cluster.aws, SSH_KEY) is None
    assert not cluster.state.ssh_key_path.exists()
    pair = key_pairs.find_key_pair(cluster.aws, owner_of(cluster))
    assert pair is not None
    assert pair.public_key == keys.public_key(path).text


def test_the_public_half_is_enough_where_an_agent_holds_the_other(cloud: Cloud, tmp_path: Path) -> None:
    path = own_key(tmp_path)
    public = keys.public_key(path).text
    path.with_name("id_ed25519.pub").write_text(f"{public} ada@workstation\n")
    path.unlink()
    cluster = cloud.cluster(ssh={"key": str(path)})
    run_steps(cluster, KEY)
    assert key_pairs.find_key_pair(cluster.aws, owner_of(cluster)).public_key == public  # type: ignore[union-attr]
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(ssh={"key": str(path)}), KEY))) == []


def test_another_key_than_the_nodes_know_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    run_steps(cloud.cluster(ssh={"key": str(own_key(tmp_path))}), KEY)
    other = own_key(tmp_path, "other")
    with pytest.raises(DockereeError, match="another public key"):
        run_steps(cloud.cluster(ssh={"key": str(other)}), KEY)


def test_each_role_reads_its_own_path_and_nothing_else(cloud: Cloud) -> None:
    """Without UCP; what managers do with the buckets: test_storage.py."""
    cluster = cloud.cluster(ucp={"enabled": False})
    run_steps(cluster, ROLES)
    iam = cloud.api.client("iam")
    for node_role in roles.NODE_ROLES:
        name = roles.role_name(owner_of(cluster), node_role)
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        policy = iam.get_role_policy(RoleName=name, PolicyName="dockeree")["PolicyDocument"]
        assert policy["Statement"] == [
            {
                "Effect": "Allow",
                "Action": "ssm:GetParameter",
                "Resource": f"arn:aws:ssm:us-east-1:123456789012:parameter/dockeree/demo/{node_role}/*",
            }
        ]


def test_a_changed_policy_is_put_back(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, ROLES)
    name = roles.role_name(owner_of(cluster), "worker")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam = cloud.api.client("iam")
    iam.put_role_policy(RoleName=name, PolicyName="dockeree", PolicyDocument=json.dumps(everything))
    assert run_steps(cloud.cluster(), ROLES).changed
    policy = iam.get_role_policy(RoleName=name, PolicyName="dockeree")["PolicyDocument"]
    assert policy["Statement"][0]["Action"] == "ssm:GetParameter"
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(), ROLES))) == []


def test_a_permissions_boundary_is_set_on_every_role(cloud: Cloud) -> None:
    iam = cloud.api.client("iam")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    arn = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(everything))["Policy"]["Arn"]
    cluster = cloud.cluster(permissions_boundary=arn)
    run_steps(cluster, ROLES)
    for node_role in roles.NODE_ROLES:
        role = iam.get_role(RoleName=roles.role_name(owner_of(cluster), node_role))["Role"]
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn


def test_roles_go_with_what_somebody_attached_to_them(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, ROLES)
    iam = cloud.api.client("iam")
    name = roles.role_name(owner_of(cluster), "manager")
    arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    assert undo_steps(cluster, ROLES).changed
    assert roles.find_names(cluster.aws, owner_of(cluster)) == []
    assert not undo_steps(cluster, ROLES).changed
