"""Run by test_console.py on a terminal of its own: a workflow of GROUPS groups, one of which may fail."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from dockeree.console import Screen, TerminalReport
from dockeree.errors import AwsError
from dockeree.logfile import LogFile
from dockeree.waiting import REAL_CLOCK


def main() -> None:
    """Arguments: the log's folder, the number of groups, the number of the failing one or -1."""
    folder, count, failing = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    report = TerminalReport(LogFile(folder, "up"), Screen(sys.stderr))
    steps = [(f"group{n}/Step", f"Do thing {n}", (f"group{n - 3}/Step",) if n >= 3 else ()) for n in range(count)]
    report.plan(steps)
    ended = {key: threading.Event() for key, _, _ in steps}
    failed: set[str] = set()

    def run(key: str, after: tuple[str, ...]) -> None:
        for earlier in after:
            ended[earlier].wait()
        if failed & set(after):
            failed.add(key)
            report.skipped(key, after[0])
        else:
            report.started(key)
            for number in range(4):
                report.detail(key, f"\x1b[2J waiting for answer {number} of a long list of answers that never ends")
                REAL_CLOCK.sleep(0.05)
            if key == f"group{failing}/Step":
                failed.add(key)
                report.failed(key, 0.2, AwsError("no capacity"))
            else:
                report.finished(key, 0.2, True)
        ended[key].set()

    threads = [threading.Thread(target=run, args=(key, after)) for key, _, after in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.close()
    sys.stderr.write("THE END\n")


main()
