"""Everything here runs the whole tool against a lab with simulated nodes, one lab a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.running_lab import Operator
from support.simulated_lab import simulated_lab

from dockeree.lab.control import RunningLab


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    topic = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with simulated_lab(topic) as running:
        yield running


@pytest.fixture(scope="module")
def operator(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(lab, tmp_path_factory.mktemp("operator"))
