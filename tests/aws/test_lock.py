"""The lock in the account: one at a time, stale ones taken over, two takers told apart."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from support.cloud import Cloud

from dockeree.aws import lock, parameters
from dockeree.aws.lock import Holder, cluster_lock, find_holder
from dockeree.errors import StateLocked

ELSEWHERE = Holder("ada", "workstation", 4711, "2026-11-24T10:00:00+00:00", "dockeree up", "nonce-of-ada")


def held_by(cloud: Cloud, holder: Holder) -> None:
    cloud.api.client("ssm").put_parameter(
        Name="/dockeree/demo/lock", Value=json.dumps(asdict(holder)), Type="String", Overwrite=False
    )


def test_it_is_held_and_released(cloud: Cloud) -> None:
    aws = cloud.aws()
    with cluster_lock(aws, "demo", "dockeree up") as mine:
        assert find_holder(aws, "demo") == mine
        assert mine.process == os.getpid()
    assert find_holder(aws, "demo") is None


def test_it_is_released_when_the_work_fails(cloud: Cloud) -> None:
    aws = cloud.aws()
    with pytest.raises(ZeroDivisionError), cluster_lock(aws, "demo", "dockeree up"):
        _ = 1 / 0
    assert find_holder(aws, "demo") is None


def test_the_second_is_refused_and_told_who(cloud: Cloud) -> None:
    held_by(cloud, ELSEWHERE)
    with pytest.raises(StateLocked) as caught, cluster_lock(cloud.aws(), "demo", "dockeree destroy"):
        raise AssertionError("both work")
    assert "ada on workstation, process 4711, since 2026-11-24T10:00:00+00:00: dockeree up" in caught.value.message
    assert find_holder(cloud.aws(), "demo") == ELSEWHERE


def test_two_threads_of_a_living_process_exclude_each_other(cloud: Cloud) -> None:
    with (
        cluster_lock(cloud.aws(), "demo", "dockeree up"),
        pytest.raises(StateLocked),
        cluster_lock(cloud.aws(), "demo", "dockeree destroy"),
    ):
        pass


def test_other_clusters_have_locks_of_their_own(cloud: Cloud) -> None:
    with cluster_lock(cloud.aws(), "demo", "up"), cluster_lock(cloud.aws(), "other", "up"):
        pass


def test_the_lock_of_a_dead_process_of_this_host_is_taken_over_at_once(cloud: Cloud) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    held_by(cloud, replace(Holder.this_process("dockeree up"), process=ended.pid, nonce="of the dead"))
    with cluster_lock(cloud.aws(), "demo", "dockeree up") as mine:
        assert find_holder(cloud.aws(), "demo") == mine


def test_a_process_number_used_again_is_not_the_holder(cloud: Cloud) -> None:
    held_by(cloud, replace(Holder.this_process("dockeree up"), process_started="1", nonce="of the dead"))
    with cluster_lock(cloud.aws(), "demo", "dockeree up"):
        pass


def test_the_lock_of_a_process_in_another_container_of_this_name_is_left(cloud: Cloud) -> None:
    held_by(cloud, replace(ELSEWHERE, host=socket.gethostname(), process_scope="another boot"))
    with pytest.raises(StateLocked), cluster_lock(cloud.aws(), "demo", "dockeree up"):
        pass


def test_a_lock_that_nobody_refreshes_is_taken_over(cloud: Cloud) -> None:
    held_by(cloud, ELSEWHERE)
    age_the_lock(cloud, timedelta(seconds=299))
    with pytest.raises(StateLocked), cluster_lock(cloud.aws(), "demo", "dockeree up"):
        pass
    age_the_lock(cloud, timedelta(seconds=301))
    with cluster_lock(cloud.aws(), "demo", "dockeree up") as mine:
        assert find_holder(cloud.aws(), "demo") == mine


def age_the_lock(cloud: Cloud, age: timedelta) -> None:
    """What AWS says of when the parameter was written last: in the lab, moto's model."""
    from moto.ssm.models import ssm_backends

    backend = ssm_backends["123456789012"]["us-east-1"]
    newest = backend._parameters["/dockeree/demo/lock"][-1]
    newest.last_modified_date = (datetime.now(UTC) - age).timestamp()


def test_of_two_that_take_over_the_first_wins_and_stands(cloud: Cloud) -> None:
    """Both saw version 1; the other's overwrite came in between ours and our reading."""
    held_by(cloud, ELSEWHERE)
    aws = cloud.aws()
    first = Holder.this_process("dockeree up")
    second = Holder.this_process("dockeree destroy")
    lock._take_over(aws, "demo", first, 1)
    with pytest.raises(StateLocked, match="dockeree up"):
        lock._take_over(aws, "demo", second, 1)
    assert find_holder(aws, "demo") == first


def test_a_lost_answer_of_the_creating_call_is_not_somebody_elses_lock(cloud: Cloud) -> None:
    mine = Holder.this_process("dockeree up")
    held_by(cloud, mine)
    assert lock._create(cloud.aws(), "demo", mine)


def test_it_is_refreshed_while_the_work_lasts(cloud: Cloud) -> None:
    aws = cloud.aws()
    refreshed = threading.Event()
    puts = 0

    def observe(_service: str, operation: str) -> None:
        nonlocal puts
        puts += operation == "PutParameter"
        if puts >= 3:
            refreshed.set()

    aws.observers.append(observe)
    with cluster_lock(aws, "demo", "dockeree up", refresh_seconds=0.02):
        assert refreshed.wait(10)
    found = parameters.get_parameter(aws, "/dockeree/demo/lock")
    assert found is None


def test_a_lost_lock_is_told_and_the_new_holders_is_not_released(cloud: Cloud) -> None:
    aws = cloud.aws()
    told: list[str] = []
    lost = threading.Event()

    def on_lost(reason: str) -> None:
        told.append(reason)
        lost.set()

    with cluster_lock(aws, "demo", "dockeree up", on_lost=on_lost, refresh_seconds=0.05):
        parameters.overwrite_parameter(aws, "/dockeree/demo/lock", json.dumps(asdict(ELSEWHERE)), is_secret=False)
        assert lost.wait(10)
    assert "ada on workstation" in told[0]
    assert find_holder(aws, "demo") == ELSEWHERE


def test_a_damaged_record_is_somebodys_all_the_same(cloud: Cloud) -> None:
    cloud.api.client("ssm").put_parameter(Name="/dockeree/demo/lock", Value="?", Type="String")
    with pytest.raises(StateLocked, match="somebody"), cluster_lock(cloud.aws(), "demo", "dockeree up"):
        pass
