"""An instance and the node behind it, and how its state is written."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models.instances import InstanceState, StateReason

_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def set_state(instance: Any, name: str, code: str = "", message: str = "") -> InstanceState:
    """Move an instance to a state, with EC2's reason where there is one. Returns the state before."""
    before = copy.copy(instance._state)
    instance._state.name, instance._state.code = name, _CODES[name]
    instance.state_reason = StateReason(f"{code}: {message}" if code else "", code)
    if code.startswith("Client.UserInitiated"):
        instance._reason = f"User initiated ({utcnow().strftime('%Y-%m-%d %H:%M:%S GMT')})"
    else:
        instance._reason = message
    return before


@dataclass
class Machine:
    """An instance and its node. `work` is held while the node is being worked on."""

    backend: Any
    instance: Any
    work: threading.Lock = field(default_factory=threading.Lock)
    power_is_cut: bool = False
    seen_off: int = 0

    @property
    def state(self) -> str:
        """The instance's state name."""
        return str(self.instance._state.name)
