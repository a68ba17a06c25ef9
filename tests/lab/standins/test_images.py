"""The stand-in images: one shared layer, a thin one with the program, the same bytes each time."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from dockeree.lab.nodes.machines import ensure_image
from dockeree.lab.nodes.machines.small_images import busybox_path
from dockeree.lab.standins.images import UCP, standin_images
from dockeree.lab.standins.program_layer import fingerprint, program_tar, source_files
from dockeree.lab.standins.runtime_image import ensure_runtime_layer, never_checked, runtime_tar

IMPORT_ALL = """
import importlib, pathlib, sys
sys.path.insert(0, "/opt/stand-in")
for path in sorted(pathlib.Path("/opt/stand-in").rglob("*.py")):
    name = ".".join(path.relative_to("/opt/stand-in").with_suffix("").parts)
    importlib.import_module(name.removesuffix(".__init__"))
import bz2, ctypes, decimal, hashlib, http.server, lzma, multiprocessing, ssl, tomllib, uuid, zipfile
ssl.create_default_context()
print(len(sys.modules))
"""


def test_a_program_is_its_packages_and_what_lies_above_them() -> None:
    sources = source_files(("program",))
    assert "dockeree/lab/standins/program/streams.py" in sources
    assert {"dockeree/__init__.py", "dockeree/lab/__init__.py", "dockeree/lab/standins/__init__.py"} < set(sources)
    assert not any(name.startswith("dockeree/lab/standins/ucp") for name in sources)
    changed = {**sources, "dockeree/__init__.py": b"# another\n"}
    assert fingerprint(changed) != fingerprint(sources) == fingerprint(dict(reversed(sources.items())))


def test_byte_code_is_never_checked_against_its_source() -> None:
    header = b"\xa7\x0d\x0d\x0a" + bytes(4) + b"timesize"
    assert never_checked(header + b"code") == b"\xa7\x0d\x0d\x0a\x01\x00\x00\x00" + bytes(8) + b"code"


def test_there_is_an_image_to_fail_in_each_phase() -> None:
    failing = [name for name in UCP.names if "-fail-" in name]
    assert {name.rpartition("-fail-")[2] for name in failing} == {
        *("validate", "swarm-ca", "volumes", "agents", "reconcile", "controller")
    }


@pytest.mark.machines
def test_the_layers_are_the_same_each_time_and_shared() -> None:
    root = ensure_image("baked").layers[-1]
    busybox = Path(busybox_path() or "")
    assert runtime_tar(root, busybox) == runtime_tar(root, busybox)
    assert program_tar(root, UCP.packages, UCP.commands) == program_tar(root, UCP.packages, UCP.commands)
    images = list(standin_images(UCP, root, ensure_runtime_layer(root)))
    assert len({(image.root, image.base) for image in images}) == 1
    assert [image.environment[UCP.image_variable] for image in images] == list(UCP.names)
    assert all(image.labels == {"dockeree.stand-in": "true"} for image in images)


@pytest.mark.machines
def test_every_module_loads_in_the_image(tmp_path: Path) -> None:
    root = ensure_image("baked").layers[-1]
    for layer in (runtime_tar(root, Path(busybox_path() or "")), program_tar(root, UCP.packages, UCP.commands)):
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            tar.extractall(tmp_path, filter="fully_trusted")
    command = ["chroot", str(tmp_path), "/usr/bin/python3", "-I", "-c", IMPORT_ALL]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    shell = subprocess.run(["chroot", str(tmp_path), "/bin/sh", "-c", "echo $0 works"], capture_output=True, text=True)
    assert shell.stdout == "/bin/sh works\n"
