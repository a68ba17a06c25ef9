"""The world of these tests, as fixtures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulated_cluster import Cluster, simulated_cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A driver and its network, at a hundredth of AWS's delays."""
    with simulated_cluster() as world:
        yield world


@pytest.fixture
def slow_cluster() -> Iterator[Cluster]:
    """The same at a pace at which a test can look at what is under way: a heartbeat takes 0.8 s."""
    with simulated_cluster(time_scale=0.05) as world:
        yield world
