"""One command at a time works on a cluster: a lock in the account, as a parameter that only one can create.

The holder refreshes it every minute. A lock is taken over

- at once, when its holder was a process of this host that is not alive any more (`kill -9`);
- after five minutes without a refresh, when its holder is on another host. Both times are AWS's own (the parameter's
  date and the answer's), so that the hosts' clocks do not matter.

Two commands may take over at the same moment: both overwrite, and AWS's version number tells who was first. The
later one puts the first one's record back.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dockeree.aws import parameters
from dockeree.aws.tags import CLUSTER_TAG, NAME_TAG, ROLE_TAG
from dockeree.aws.waits import is_not_found
from dockeree.errors import AwsError, StateLocked

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

REFRESH_SECONDS = 60.0
STALE_SECONDS = 300.0


@dataclass(frozen=True)
class Holder:
    """Who works on the cluster. `process_scope` and `process_started` tell a process from a later one of its number."""

    who: str
    host: str
    process: int
    since: str
    command: str
    nonce: str
    process_scope: str = ""
    process_started: str = ""

    @classmethod
    def this_process(cls, command: str) -> Holder:
        """The record of this process."""
        return cls(
            who=_user_name(),
            host=socket.gethostname(),
            process=os.getpid(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            nonce=uuid.uuid4().hex,
            process_scope=_process_scope(),
            process_started=_process_started(os.getpid()),
        )

    @classmethod
    def parse(cls, text: str) -> Holder:
        """A record as it stands in the parameter; one that is damaged has an unknown holder."""
        try:
            values = json.loads(text)
            known = {field.name for field in fields(cls)}
            return cls(**{key: value for key, value in values.items() if key in known})
        except (ValueError, TypeError, AttributeError):
            return cls("somebody", "an unknown host", 0, "an unknown time", "an unknown command", "")

    @property
    def is_dead(self) -> bool:
        """Whether it was a process of this host, and is none any more."""
        if self.host != socket.gethostname() or self.process_scope != _process_scope() or not self.process:
            return False
        return not _is_alive(self.process) or _process_started(self.process) != self.process_started

    def __str__(self) -> str:
        return f"{self.who} on {self.host}, process {self.process}, since {self.since}: {self.command}"


@contextmanager
def cluster_lock(
    aws: Aws,
    name: str,
    command: str,
    *,
    on_lost: Callable[[str], None] = lambda reason: None,
    refresh_seconds: float = REFRESH_SECONDS,
    stale_seconds: float = STALE_SECONDS,
) -> Iterator[Holder]:
    """Hold the lock of cluster `name` while `command` works, and release it at the end, however that comes.

    `on_lost` is called, from the refreshing thread, when the lock could not be kept (this computer slept, and somebody
    took over): the work has then to stop. Raises StateLocked that names the holder.
    """
    mine = Holder.this_process(command)
    _acquire(aws, name, mine, stale_seconds)
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep,
        args=(aws, name, mine, ended, refresh_seconds, stale_seconds, on_lost),
        name="cluster lock",
        daemon=True,
    )
    keeper.start()
    try:
        yield mine
    finally:
        ended.set()
        keeper.join()
        release(aws, name, mine)


def find_holder(aws: Aws, name: str) -> Holder | None:
    """Who holds the lock at this moment, None when nobody does."""
    found = parameters.get_parameter(aws, parameters.lock_name(name))
    return Holder.parse(found.value) if found else None


def release(aws: Aws, name: str, mine: Holder) -> None:
    """Delete the lock where it is still `mine`."""
    holder = find_holder(aws, name)
    if holder is not None and holder.nonce == mine.nonce:
        parameters.delete_parameter(aws, parameters.lock_name(name))


def _acquire(aws: Aws, name: str, mine: Holder, stale_seconds: float) -> None:
    for _ in range(5):  # the holder may release it between two of our calls
        if _create(aws, name, mine):
            return
        found = _read(aws, name)
        if found is None:
            continue
        holder, version, age_seconds = found
        if not holder.is_dead and age_seconds < stale_seconds:
            raise _locked(name, holder)
        _take_over(aws, name, mine, version)
        return
    raise StateLocked(f"the lock of {name} changes hands all the time", "Run the command again.")


def _create(aws: Aws, name: str, mine: Holder) -> bool:
    tags = {NAME_TAG: f"{name}-lock", CLUSTER_TAG: name, ROLE_TAG: "lock"}
    try:
        aws.ssm.put_parameter(
            Name=parameters.lock_name(name),
            Value=json.dumps(asdict(mine)),
            Type="String",
            Overwrite=False,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    except AwsError as error:
        if error.code != "ParameterAlreadyExists":
            raise
        # An answer that was lost on the way, and botocore's second attempt: the lock may be ours already.
        holder = find_holder(aws, name)
        return holder is not None and holder.nonce == mine.nonce
    return True


def _read(aws: Aws, name: str) -> tuple[Holder, int, float] | None:
    """The holder, the parameter's version, and the seconds since the last refresh."""
    try:
        answer = aws.ssm.get_parameter(Name=parameters.lock_name(name))
    except AwsError as error:
        if is_not_found(error):
            return None
        raise
    parameter = answer["Parameter"]
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    age_seconds = (now - parameter["LastModifiedDate"]).total_seconds()
    return Holder.parse(parameter["Value"]), parameter["Version"], age_seconds


def _take_over(aws: Aws, name: str, mine: Holder, seen_version: int) -> None:
    key = parameters.lock_name(name)
    version = parameters.overwrite_parameter(aws, key, json.dumps(asdict(mine)), is_secret=False)
    if version == seen_version + 1:
        return
    first = parameters.get_parameter(aws, f"{key}:{seen_version + 1}")
    if first is None:  # released and made anew meanwhile: that one's holder is not known to us
        raise StateLocked(f"another command took over the lock of {name} at the same moment", "Run the command again.")
    parameters.overwrite_parameter(aws, key, first.value, is_secret=False)
    raise _locked(name, Holder.parse(first.value))


def _keep(
    aws: Aws,
    name: str,
    mine: Holder,
    ended: threading.Event,
    refresh_seconds: float,
    stale_seconds: float,
    on_lost: Callable[[str], None],
) -> None:
    """In its own thread: refresh the lock until the work has ended, or say that it is lost."""
    failures = 0
    while not ended.wait(refresh_seconds):
        try:
            holder = find_holder(aws, name)
            if holder is None or holder.nonce != mine.nonce:
                on_lost(f"the lock of {name} was taken over by {holder}" if holder else f"the lock of {name} is gone")
                return
            parameters.overwrite_parameter(aws, parameters.lock_name(name), json.dumps(asdict(mine)), is_secret=False)
            failures = 0
        except AwsError as error:
            failures += 1
            if (failures + 1) * refresh_seconds >= stale_seconds:
                on_lost(f"the lock of {name} could not be refreshed: {error}")
                return


def _locked(name: str, holder: Holder) -> StateLocked:
    return StateLocked(
        f"another command works on {name}: {holder}",
        "Wait until it is done, or stop it. A lock that nobody refreshes is taken over after 5 minutes.",
    )


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's process
    return True


def _process_started(process: int) -> str:
    """When a process began, in clock ticks since boot (Linux); empty where that cannot be read."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _process_scope() -> str:
    """Which set of process numbers this process counts in: two containers may share a host's name."""
    scope = []
    with suppress(OSError):
        scope.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        scope.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(scope)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry for this user id, as in some containers
        return f"uid {os.getuid()}"
