"""An instance's life after its launch: stop, start, reboot, terminate, power, attributes, status, console."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dockeree.lab.aws import lifecycle


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


class Instance:
    """One running instance, and what can be asked of it."""

    def __init__(self, ec2: Any, eventually: Any, **asked: Any) -> None:
        self.ec2 = ec2
        self.eventually = eventually
        image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["*noble*"]}])["Images"][0]["ImageId"]
        request = {"ImageId": image, "InstanceType": "t3.large", "MinCount": 1, "MaxCount": 1} | asked
        self.id = ec2.run_instances(**request)["Instances"][0]["InstanceId"]
        self.wait("running")

    def describe(self) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0])

    def wait(self, state: str) -> dict[str, Any]:
        return dict(self.eventually(lambda: (found := self.describe())["State"]["Name"] == state and found))


@pytest.fixture
def instance(ec2: Any, eventually: Any) -> Instance:
    return Instance(ec2, eventually)


def test_a_stopped_instance_has_no_public_address_and_gets_another_one(api: Any, ec2: Any, instance: Instance) -> None:
    before = instance.describe()
    answer = ec2.stop_instances(InstanceIds=[instance.id])["StoppingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "stopping")
    stopped = instance.wait("stopped")
    assert "PublicIpAddress" not in stopped
    assert stopped["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    answer = ec2.start_instances(InstanceIds=[instance.id])["StartingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("stopped", "pending")
    running = instance.wait("running")
    assert running["PublicIpAddress"] not in (None, before["PublicIpAddress"])
    assert running["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert [name for name, _ in api.driver.calls] == ["launch", "shut_down", "power_on"]
    assert api.driver.specs[instance.id].public_ip == running["PublicIpAddress"]


def test_a_stopped_instance_keeps_its_place_in_the_network(
    api: Any, ec2: Any, instance: Instance, eventually: Any
) -> None:
    ec2.stop_instances(InstanceIds=[instance.id])
    instance.wait("stopped")
    eventually(lambda: api.wiring.last.instances and not api.wiring.last.instances[0].running)
    assert api.wiring.last.instances[0].interface.public_ip is None


def test_an_elastic_address_stays(ec2: Any, instance: Instance) -> None:
    elastic = ec2.allocate_address(Domain="vpc")
    association = ec2.associate_address(AllocationId=elastic["AllocationId"], InstanceId=instance.id)["AssociationId"]
    assert instance.describe()["PublicIpAddress"] == elastic["PublicIp"]
    ec2.stop_instances(InstanceIds=[instance.id])
    assert instance.wait("stopped")["PublicIpAddress"] == elastic["PublicIp"]
    with pytest.raises(ClientError) as refused:
        ec2.release_address(AllocationId=elastic["AllocationId"])
    assert code(refused) == "InvalidIPAddress.InUse"
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=elastic["AllocationId"])
    assert ec2.describe_addresses()["Addresses"] == []


def test_a_terminated_instance_has_no_address_and_no_subnet(api: Any, ec2: Any, instance: Instance) -> None:
    ec2.create_tags(Resources=[instance.id], Tags=[{"Key": "Name", "Value": "gone"}])
    answer = ec2.terminate_instances(InstanceIds=[instance.id])["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "shutting-down")
    gone = instance.wait("terminated")
    for key in ("PublicIpAddress", "PrivateIpAddress", "SubnetId", "VpcId"):
        assert not gone.get(key)
    assert gone["NetworkInterfaces"] == []
    assert gone["Tags"] == [{"Key": "Name", "Value": "gone"}]
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_volumes()["Volumes"] == []
    assert [name for name, _ in api.driver.calls] == ["launch", "shut_down", "destroy"]


def test_a_volume_that_is_to_stay_stays(ec2: Any, eventually: Any) -> None:
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "DeleteOnTermination": False}}
    instance = Instance(ec2, eventually, BlockDeviceMappings=[mapping])
    ec2.terminate_instances(InstanceIds=[instance.id])
    instance.wait("terminated")
    (volume,) = ec2.describe_volumes()["Volumes"]
    assert (volume["Size"], volume["State"], volume["Attachments"]) == (20, "available", [])


def test_terminating_twice_is_fine(ec2: Any, instance: Instance) -> None:
    ec2.terminate_instances(InstanceIds=[instance.id])
    ec2.terminate_instances(InstanceIds=[instance.id])
    instance.wait("terminated")
    answer = ec2.terminate_instances(InstanceIds=[instance.id])["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("terminated", "terminated")


def test_terminating_a_pending_instance(api: Any, ec2: Any, eventually: Any) -> None:
    image = ec2.describe_images()["Images"][0]["ImageId"]
    started = ec2.run_instances(ImageId=image, InstanceType="t3.large", MinCount=1, MaxCount=1)["Instances"][0]
    ec2.terminate_instances(InstanceIds=[started["InstanceId"]])
    eventually(lambda: api.driver.did("destroy") == [started["InstanceId"]])
    found = eventually(
        lambda: ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["terminated"]}])[
            "Reservations"
        ]
    )
    assert found[0]["Instances"][0]["InstanceId"] == started["InstanceId"]
    assert api.driver.on == set()


@pytest.mark.parametrize("instance_id", ["i-0123456789abcdef0"])
def test_unknown_instances(ec2: Any, instance_id: str) -> None:
    for call in (ec2.terminate_instances, ec2.stop_instances, ec2.start_instances, ec2.describe_instances):
        with pytest.raises(ClientError) as refused:
            call(InstanceIds=[instance_id])
        assert code(refused) == "InvalidInstanceID.NotFound"


def test_malformed_instance_ids(ec2: Any) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.describe_instances(InstanceIds=["demo-manager-a"])
    assert code(refused) == "InvalidInstanceID.Malformed"


def test_terminated_instances_are_listed_for_a_while(
    ec2: Any, instance: Instance, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "LISTED_AT_LEAST_SECONDS", 0.5)
    ec2.terminate_instances(InstanceIds=[instance.id])
    instance.wait("terminated")
    eventually(lambda: ec2.describe_instances()["Reservations"] == [])
    assert ec2.describe_tags()["Tags"] == []


def test_termination_protection(ec2: Any, eventually: Any) -> None:
    protected = Instance(ec2, eventually, DisableApiTermination=True)
    other = Instance(ec2, eventually)
    with pytest.raises(ClientError, match="disableApiTermination") as refused:
        ec2.terminate_instances(InstanceIds=[other.id, protected.id])
    assert code(refused) == "OperationNotPermitted"
    assert other.describe()["State"]["Name"] == "running"
    attribute = ec2.describe_instance_attribute(InstanceId=protected.id, Attribute="disableApiTermination")
    assert attribute["DisableApiTermination"]["Value"] is True
    ec2.modify_instance_attribute(InstanceId=protected.id, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[protected.id])
    protected.wait("terminated")


def test_reboot_keeps_state_and_addresses(api: Any, ec2: Any, instance: Instance, eventually: Any) -> None:
    before = instance.describe()
    ec2.reboot_instances(InstanceIds=[instance.id])
    eventually(lambda: api.driver.did("reboot") == [instance.id])
    assert instance.describe()["PublicIpAddress"] == before["PublicIpAddress"]


def test_states_that_a_call_is_not_for(ec2: Any, instance: Instance) -> None:
    ec2.stop_instances(InstanceIds=[instance.id])
    instance.wait("stopped")
    with pytest.raises(ClientError) as refused:
        ec2.reboot_instances(InstanceIds=[instance.id])
    assert code(refused) == "IncorrectInstanceState"
    ec2.terminate_instances(InstanceIds=[instance.id])
    instance.wait("terminated")
    for call in (ec2.start_instances, ec2.stop_instances):
        with pytest.raises(ClientError) as refused:
            call(InstanceIds=[instance.id])
        assert code(refused) == "IncorrectInstanceState"


@pytest.mark.parametrize(("behavior", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_a_node_that_shuts_itself_down(api: Any, ec2: Any, eventually: Any, behavior: str, state: str) -> None:
    instance = Instance(ec2, eventually, InstanceInitiatedShutdownBehavior=behavior)
    api.driver.on.discard(instance.id)
    assert instance.wait(state)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_power_cut_leaves_the_instance_running_and_impaired(
    api: Any, ec2: Any, instance: Instance, eventually: Any
) -> None:
    eventually(lambda: statuses(ec2)[0]["InstanceStatus"]["Status"] == "ok")
    api.control("POST", f"/lab/instances/{instance.id}/power-cut")
    assert api.driver.did("power_cut") == [instance.id]
    eventually(lambda: statuses(ec2)[0]["SystemStatus"]["Status"] == "impaired")
    assert instance.describe()["State"]["Name"] == "running"
    ec2.stop_instances(InstanceIds=[instance.id])
    instance.wait("stopped")
    ec2.start_instances(InstanceIds=[instance.id])
    instance.wait("running")
    eventually(lambda: statuses(ec2)[0]["SystemStatus"]["Status"] == "ok")


def statuses(ec2: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_instance_status()["InstanceStatuses"])


def test_type_and_user_data_change_on_a_stopped_instance_only(ec2: Any, instance: Instance) -> None:
    changes = ({"InstanceType": {"Value": "t3.xlarge"}}, {"UserData": {"Value": b"#!/bin/sh\necho changed\n"}})
    for change in changes:
        with pytest.raises(ClientError) as refused:
            ec2.modify_instance_attribute(InstanceId=instance.id, **change)
        assert code(refused) == "IncorrectInstanceState"
    ec2.stop_instances(InstanceIds=[instance.id])
    instance.wait("stopped")
    for change in changes:
        ec2.modify_instance_attribute(InstanceId=instance.id, **change)
    assert instance.describe()["InstanceType"] == "t3.xlarge"
    user_data = ec2.describe_instance_attribute(InstanceId=instance.id, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(user_data) == b"#!/bin/sh\necho changed\n"


def test_groups_of_an_instance_are_those_of_its_interface(
    api: Any, ec2: Any, instance: Instance, eventually: Any
) -> None:
    found = instance.describe()
    group = ec2.create_security_group(GroupName="other", Description="other", VpcId=found["VpcId"])["GroupId"]
    ec2.modify_instance_attribute(InstanceId=instance.id, Groups=[group])
    found = instance.describe()
    assert [one["GroupId"] for one in found["SecurityGroups"]] == [group]
    assert [one["GroupId"] for one in found["NetworkInterfaces"][0]["Groups"]] == [group]
    eventually(lambda: api.wiring.last.instances[0].interface.group_ids == (group,))


def test_the_console(ec2: Any, instance: Instance) -> None:
    assert ec2.get_console_output(InstanceId=instance.id)["Output"] == f"console of {instance.id}\n"


def test_closing_the_lab_waits_for_work_and_starts_nothing_more(api: Any, ec2: Any, eventually: Any) -> None:
    let_go = threading.Event()
    api.driver.before_launch = lambda spec: let_go.wait(10)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, InstanceType="t3.large", MinCount=2, MaxCount=2)
    eventually(lambda: api.wiring.last.instances and api.wiring.last.instances[0].interface.public_ip)
    closing = threading.Thread(target=api.lab.close)
    closing.start()
    let_go.set()
    closing.join(timeout=10)
    done = list(api.driver.calls)
    assert {name for name, _ in done} <= {"launch"}
    assert len(done) <= 2


def test_status_tells_of_instances(api: Any, ec2: Any, instance: Instance) -> None:
    ec2.create_tags(Resources=[instance.id], Tags=[{"Key": "Name", "Value": "demo"}])
    found = instance.describe()
    status = api.control("GET", "/lab/status")
    assert (status["name"], status["node_driver"], status["endpoint_url"]) == ("test", "simulated", api.url)
    assert status["instances"] == [
        {
            "instance_id": instance.id,
            "state": "running",
            "private_ip": found["PrivateIpAddress"],
            "public_ip": found["PublicIpAddress"],
            "name": "demo",
        }
    ]
