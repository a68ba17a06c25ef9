"""What the cluster's controllers share: documents in swarm configs, accounts among them."""

from __future__ import annotations

import pytest
from support.fake_docker_api import FakeDockerApi

from dockeree.lab.standins.ucp.accounts import AccountError, Accounts, hashed, new_account
from dockeree.lab.standins.ucp.swarm_store import SwarmStore


def test_a_change_is_a_new_config_and_old_ones_go() -> None:
    engine = FakeDockerApi()
    store = SwarmStore(engine)
    assert store.read("com.docker.ucp.config") is None
    for text in (b"one", b"two", b"three", b"three"):
        store.write("com.docker.ucp.config", text)
    assert store.read("com.docker.ucp.config") == b"three"
    assert sorted(engine.configs) == ["com.docker.ucp.config-2", "com.docker.ucp.config-3"]


def test_the_highest_number_counts_not_the_last_in_the_alphabet() -> None:
    store = SwarmStore(FakeDockerApi())
    for number in range(1, 12):
        store.write("name", str(number).encode())
    assert store.read("name") == b"11"


def test_two_writers_at_once_lose_nothing() -> None:
    engine = FakeDockerApi()
    here, there = Accounts(SwarmStore(engine)), Accounts(SwarmStore(engine))
    here.create(new_account("admin", "password-1", is_admin=True))
    engine.before_create = lambda: there.create(new_account("bob", "password-2"))
    here.create(new_account("alice", "password-3"))
    assert sorted(here.all()) == ["admin", "alice", "bob"]


def test_an_account_logs_in_with_its_password_only() -> None:
    accounts = Accounts(SwarmStore(FakeDockerApi()))
    accounts.create(new_account("admin", "password-1", is_admin=True))
    account = accounts.log_in("admin", "password-1")
    assert account is not None
    assert account.is_admin
    assert accounts.log_in("admin", "password-2") is None
    assert accounts.log_in("nobody", "password-1") is None
    accounts.update("admin", password=hashed("password-2"), is_active=False)
    assert accounts.log_in("admin", "password-2") is None
    accounts.update("admin", is_active=True)
    assert accounts.log_in("admin", "password-2") == accounts.find(account.id)


@pytest.mark.parametrize(
    ("name", "password", "status"), [("x", "short12", 400), ("", "long enough", 400), ("a b", "long enough", 400)]
)
def test_what_is_no_account(name: str, password: str, status: int) -> None:
    with pytest.raises(AccountError) as caught:
        new_account(name, password)
    assert caught.value.status == status


def test_a_taken_name_and_a_missing_account() -> None:
    accounts = Accounts(SwarmStore(FakeDockerApi()))
    accounts.create(new_account("admin", "password-1"))
    with pytest.raises(AccountError, match="exists"):
        accounts.create(new_account("admin", "password-1"))
    with pytest.raises(AccountError, match="no account"):
        accounts.remove("bob")


def test_passwords_are_not_stored() -> None:
    engine = FakeDockerApi()
    Accounts(SwarmStore(engine)).create(new_account("admin", "a-very-secret-password"))
    assert SwarmStore(engine).read("com.docker.ucp.accounts") is not None
    assert b"a-very-secret-password" not in (SwarmStore(engine).read("com.docker.ucp.accounts") or b"")
