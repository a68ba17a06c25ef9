"""How long earlier runs took, so that a run can say what is typical: a small file beside the cluster's logs."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from dockeree.state import write_private_file

KEPT_RUNS = 20


class History:
    """The durations of one cluster's commands, in `durations.json` of `folder`. A damaged file counts as none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "durations.json"

    def typical_seconds(self, command: str) -> float | None:
        """The median of the earlier runs of `command` that changed something; None when there is none."""
        runs = self._read().get(command)
        return median(runs) if runs else None

    def add(self, command: str, seconds: float) -> None:
        """Keep the duration of a run that went through and changed something."""
        runs = self._read()
        runs[command] = [*runs.get(command, []), round(seconds, 1)][-KEPT_RUNS:]
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private_file(self._path, json.dumps(runs).encode())

    def _read(self) -> dict[str, list[float]]:
        try:
            runs = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(command): [float(seconds) for seconds in durations] for command, durations in runs.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}
