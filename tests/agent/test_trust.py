"""Workers trust the registry before they join: whole or not at all, and never at the join's expense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dockeree.agent import trust

HOST = "demo-dtr-1.elb.us-east-1.amazonaws.com"
AUTHORITIES = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def parameter(**changes: object) -> str:
    return json.dumps({"format_version": 1, "host": HOST, "ca": AUTHORITIES, **changes})


class Node:
    """What trust.main is handed: a folder, a journal, and time that passes when it is slept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def run(self, read: Callable[[], str | None]) -> int:
        return trust.main(
            read_parameter=read,
            log=self.lines.append,
            folder=str(self.folder),
            sleep=self.sleep,
            now=lambda: self.seconds,
        )

    @property
    def written(self) -> dict[str, str]:
        return {str(p.relative_to(self.folder)): p.read_text() for p in self.folder.rglob("*") if p.is_file()}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "certs.d")


def test_the_authorities_are_written_where_the_engine_looks_and_a_second_boot_changes_nothing(node: Node) -> None:
    assert node.run(parameter) == trust.DONE
    assert node.written == {f"{HOST}/ca.crt": AUTHORITIES}
    before = (node.folder / HOST / "ca.crt").stat().st_mtime_ns
    assert node.run(parameter) == trust.DONE
    assert (node.folder / HOST / "ca.crt").stat().st_mtime_ns == before
    assert node.lines == [f"{HOST} is trusted from now on", f"{HOST} is trusted already"]


def test_new_authorities_replace_the_old_ones(node: Node) -> None:
    node.run(parameter)
    node.run(lambda: parameter(ca="another"))
    assert node.written == {f"{HOST}/ca.crt": "another"}


def test_no_registry_yet_is_fine(node: Node) -> None:
    assert node.run(lambda: None) == trust.DONE
    assert node.written == {}


def test_a_parameter_that_cannot_be_read_is_asked_for_again_until_a_minute_is_over(node: Node) -> None:
    answers = iter([ConnectionError("no route"), ConnectionError("no route")])

    def read() -> str:
        if error := next(answers, None):
            raise error
        return parameter()

    assert node.run(read) == trust.DONE
    assert node.written

    def refuse() -> str:
        raise PermissionError("AccessDenied")

    assert node.run(refuse) == trust.NOT_DONE
    assert node.lines[-1] == "FAILED: the registry's authorities cannot be read: AccessDenied"
    assert 50 < node.seconds < 80


@pytest.mark.parametrize(
    "text",
    ["{", "[]", parameter(format_version=2), *(parameter(host=h) for h in ("../../ssl", "a/b", "", ".", "a..b"))],
)
def test_what_it_does_not_understand_is_said_and_nothing_is_written(node: Node, text: str) -> None:
    assert node.run(lambda: text) == trust.NOT_DONE
    assert node.lines[0].startswith("FAILED: ")
    assert node.written == {}
    assert node.seconds == 0
