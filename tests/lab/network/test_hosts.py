"""The block in the host's own file of names: written in place, taken away without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockeree.lab.network.hosts import remove_host_names, set_host_names


@pytest.mark.parametrize("before", [b"127.0.0.1 localhost\n", b"127.0.0.1 localhost", b"", b"\n\n# end\n\n", b"a\r\nb"])
def test_the_file_comes_back_byte_for_byte(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(before)
    inode = path.stat().st_ino
    set_host_names("d000001", [("198.18.1.20", "a.elb.amazonaws.com")], path)
    assert path.read_bytes().startswith(before)
    set_host_names("d000002", [("198.18.2.20", "b.elb.amazonaws.com")], path)
    set_host_names("d000001", [("198.18.1.21", "longer-than-before.elb.amazonaws.com"), ("198.18.1.22", "c")], path)
    lines = path.read_text().splitlines()
    assert "198.18.1.21 longer-than-before.elb.amazonaws.com" in lines
    assert "198.18.2.20 b.elb.amazonaws.com" in lines
    assert "198.18.1.20 a.elb.amazonaws.com" not in lines
    remove_host_names("d000001", path)
    assert b"d000001" not in path.read_bytes()
    assert b"198.18.2.20" in path.read_bytes()
    remove_host_names("d000002", path)
    assert path.read_bytes() == before
    assert path.stat().st_ino == inode


def test_no_names_no_block(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost")
    set_host_names("d000001", [], path)
    assert path.read_bytes() == b"127.0.0.1 localhost"
    set_host_names("d000001", [("1.2.3.4", "x")], path)
    set_host_names("d000001", [], path)
    assert path.read_bytes() == b"127.0.0.1 localhost"


def test_an_unchanged_block_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\n")
    set_host_names("d000001", [("1.2.3.4", "x")], path)
    before = path.stat().st_mtime_ns
    set_host_names("d000001", [("1.2.3.4", "x")], path)
    assert path.stat().st_mtime_ns == before


def test_a_host_without_the_file_has_nothing_to_remove(tmp_path: Path) -> None:
    remove_host_names("d000001", tmp_path / "none")
    assert not (tmp_path / "none").exists()
