"""Times a cluster's life in a fresh lab: `up`, `up` again, `destroy`. Run by `./dev bench`.

    ./dev bench                             three runs on what the lab picks (real machines where they can run)
    ./dev bench --nodes simulated --runs 5

For each command: seconds (median, least and most), API calls as the lab recorded them, how many of them change
something, and the chain of steps that took longest. The lab and its cluster are gone at the end.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockeree.lab import control

CHECKOUT = Path(__file__).resolve().parent.parent
READING = ("Describe", "Get", "List", "Head")
COMMANDS: dict[str, tuple[str, ...]] = {
    "up": ("up",),
    "up again": ("up",),
    "destroy": ("destroy", "--confirm", "demo"),
}


@dataclass
class Figures:
    """What was seen of one command, an entry a run."""

    seconds: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    changing: list[int] = field(default_factory=list)
    services: collections.Counter[str] = field(default_factory=collections.Counter)
    longest_path: list[str] = field(default_factory=list)
    path_seconds: float = 0.0


def main() -> int:
    """Run the benchmark and print its table (or JSON)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", choices=["machines", "simulated"], help="default: machines where they can run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    name = f"bench-{os.getpid()}"
    lab = control.start(name, options.nodes, progress=lambda text: print(text, file=sys.stderr))
    try:
        with tempfile.TemporaryDirectory(prefix="dockeree-bench-") as folder:
            figures = measure(lab, Path(folder), options.runs)
    finally:
        control.stop(name)
    show(figures, lab.settings.nodes, options.runs, options.as_json)
    return 0


def measure(lab: control.RunningLab, folder: Path, runs: int) -> dict[str, Figures]:
    """Run every command `runs` times, each life on an empty account."""
    (folder / "config.yaml").write_text((CHECKOUT / "config.example.yaml").read_text())
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DOCKEREE_"))}
    environment |= lab.environment() | {"XDG_STATE_HOME": str(folder / "state")}
    figures = {label: Figures() for label in COMMANDS}
    for number in range(runs):
        for label, arguments in COMMANDS.items():
            print(f"run {number + 1}: {label}", file=sys.stderr)
            take(lab, figures[label], arguments, folder, environment)
    return figures


def take(
    lab: control.RunningLab, seen: Figures, arguments: Sequence[str], folder: Path, environment: dict[str, str]
) -> None:
    """Run one command as a process of its own and note what it took. Raises CalledProcessError when it fails."""
    control.ask(lab, "calls", method="DELETE")
    began = time.monotonic()
    command = [sys.executable, "-m", "dockeree.commands.main", *arguments, "--progress", "json"]
    ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seen.seconds.append(time.monotonic() - began)
    answer = control.ask(lab, "calls")
    calls: list[dict[str, Any]] = answer["calls"] if isinstance(answer, dict) else answer
    seen.calls.append(len(calls))
    seen.changing.append(sum(not call["action"].startswith(READING) for call in calls))
    seen.services = collections.Counter(call["service"] for call in calls)
    events = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"type"')]
    seen.longest_path, seen.path_seconds = longest_path(events)


def longest_path(events: Sequence[dict[str, Any]]) -> tuple[list[str], float]:
    """The chain of steps, each after the one before it, whose own times add up to most."""
    after = {s["key"]: s["after"] for event in events if event["type"] == "plan" for s in event["steps"]}
    took = {event["key"]: event["seconds"] for event in events if event["type"] == "finished"}
    best: dict[str, tuple[float, list[str]]] = {}

    def chain(key: str) -> tuple[float, list[str]]:
        if key not in best:
            seconds, keys = max((chain(earlier) for earlier in after[key]), default=(0.0, []), key=lambda c: c[0])
            best[key] = (seconds + took.get(key, 0.0), [*keys, key])
        return best[key]

    seconds, keys = max((chain(key) for key in after), default=(0.0, []), key=lambda c: c[0])
    return keys, seconds


def show(figures: dict[str, Figures], nodes: str, runs: int, as_json: bool) -> None:
    """Print the figures on standard output."""
    if as_json:
        document = {label: vars(seen) | {"services": dict(seen.services)} for label, seen in figures.items()}
        print(json.dumps({"format_version": 1, "nodes": nodes, "runs": runs, "commands": document}, indent=2))
        return
    print(f"{nodes} nodes, {runs} runs: seconds as median (least to most)")
    for label, seen in figures.items():
        median = statistics.median(seen.seconds)
        print(f"{label:9} {median:6.1f} s ({min(seen.seconds):.1f} to {max(seen.seconds):.1f})", end="  ")
        print(f"{statistics.median(seen.calls):.0f} calls, {statistics.median(seen.changing):.0f} of them changing")
        print("          " + ", ".join(f"{service} {count}" for service, count in seen.services.most_common()))
        print(f"          longest path {seen.path_seconds:.1f} s: {' > '.join(seen.longest_path)}")


if __name__ == "__main__":
    sys.exit(main())
