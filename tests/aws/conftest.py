"""The lab's API over HTTP, with nodes that only write down what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cloud import Cloud, running_cloud


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with running_cloud(tmp_path, monkeypatch) as running:
        yield running
