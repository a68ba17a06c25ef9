"""Runs one command on an open connection: both output streams drained together, standard input fed, a deadline."""

from __future__ import annotations

import selectors
import threading
from dataclasses import dataclass, field

import paramiko

from dockeree.waiting import REAL_CLOCK, Clock

_CHUNK_BYTES = 256 * 1024
_LOOK_AGAIN_SECONDS = 1.0
"""The descriptor that paramiko offers is a signal only; looking again now and then makes a missed one harmless."""


@dataclass
class Output:
    """What a command wrote, whole, and how it ended: -1 where a signal ended it (it has no exit status then)."""

    exit_status: int = -1
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


class DeadlinePassed(Exception):
    """The command had not ended in time; its channel is closed. `output` is what it wrote until then."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output


class ChannelLost(Exception):
    """The connection broke while the command ran."""


def execute(
    channel: paramiko.Channel, command: str, stdin: bytes | None, timeout_seconds: float, clock: Clock = REAL_CLOCK
) -> Output:
    """Run `command` on a fresh session channel and close it.

    Reading one stream to its end before the other hangs as soon as the other fills its window, so whatever is there
    is read, from both. The command is started, and its standard input written, from a thread of its own: both wait
    for the server, without a deadline, until the channel is closed.

    Raises DeadlinePassed, ChannelLost, and paramiko's SSHException when the server refuses to run anything.
    """
    deadline = clock.now() + timeout_seconds
    output = Output()
    input_side = _InputSide(channel, command, stdin or b"")
    try:
        input_side.start()
        _drain(channel, output, deadline, clock)
        channel.status_event.wait(max(0.0, deadline - clock.now()))
        if not channel.status_event.is_set():
            raise DeadlinePassed(output)
        output.exit_status = channel.exit_status
    finally:
        channel.close()
    if input_side.refusal:
        raise input_side.refusal
    if output.exit_status == -1 and not _is_still_connected(channel):
        raise ChannelLost
    return output


def _is_still_connected(channel: paramiko.Channel) -> bool:
    """Whether the connection outlives the channel. A broken one closes its channels first and then ends its thread."""
    transport = channel.get_transport()
    transport.join(_LOOK_AGAIN_SECONDS)
    return transport.is_active()


class _InputSide(threading.Thread):
    """Starts the command and feeds it. `refusal` is why it was not started; a command need not read its input."""

    def __init__(self, channel: paramiko.Channel, command: str, data: bytes) -> None:
        super().__init__(daemon=True)
        self.refusal: Exception | None = None
        self._channel = channel
        self._command = command
        self._data = data

    def run(self) -> None:
        try:
            self._channel.exec_command(self._command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.refusal = error
            self._channel.close()
            return
        try:
            self._channel.sendall(self._data)
            self._channel.shutdown_write()
        except (OSError, EOFError, paramiko.SSHException):
            return  # it ended without having read everything


def _drain(channel: paramiko.Channel, output: Output, deadline: float, clock: Clock) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(channel.fileno(), selectors.EVENT_READ)
        while True:
            ended = channel.eof_received or channel.closed
            while channel.recv_ready():
                output.stdout += channel.recv(_CHUNK_BYTES)
            while channel.recv_stderr_ready():
                output.stderr += channel.recv_stderr(_CHUNK_BYTES)
            if ended:
                return
            remaining = deadline - clock.now()
            if remaining <= 0:
                raise DeadlinePassed(output)
            selector.select(min(remaining, _LOOK_AGAIN_SECONDS))
