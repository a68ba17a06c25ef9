"""Why a node could not be reached, told apart so that a wait knows which reasons pass by themselves."""

from __future__ import annotations

from dockeree.errors import SshError


class NobodyAnswers(SshError):
    """No SSH server at the address: the node boots, is off, or a security group does not let us in."""


class KeyRefused(SshError):
    """The server answers and takes none of our keys. For some seconds of the first boot that is normal."""


class HostKeyChanged(SshError):
    """The server shows another host key than the pinned one, or than its console said. Never passes by itself."""


class ConnectionLost(SshError):
    """The connection ended while a command ran; whether the command did its work is not known."""
