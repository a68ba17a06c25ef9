"""The thin layer of a stand-in image: our own program, and the commands that start it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from dockeree.lab.standins.runtime_image import add_file, never_checked
from dockeree.lab.world import LabError

PACKAGE_ROOT = Path(__file__).parents[3]
"""The folder that holds the package dockeree."""
SITE = "opt/stand-in"
COMPILE_TIMEOUT_SECONDS = 120.0

START = """#!/usr/bin/python3 -I
import sys
sys.path.insert(0, "/opt/stand-in")
from {module} import main
sys.exit(main())
"""

COMPILE = """
import base64, importlib._bootstrap_external as loader, json, sys
code = {}
for name, text in json.load(sys.stdin).items():
    compiled = compile(text, "/" + name, "exec", dont_inherit=True)
    code[name] = base64.b64encode(loader._code_to_hash_pyc(compiled, bytes(8), False)).decode()
json.dump(code, sys.stdout)
"""
"""Run by the image's own Python, whose byte code is not that of this machine's."""


def program_tar(root: Path, packages: Iterable[str], commands: Mapping[str, str]) -> bytes:
    """The layer as a tar: the same sources give the same bytes.

    `root` is the node image's base tree; `packages` are folders below `dockeree/lab/standins`, whole; `commands` gives
    the path of each command and the module whose `main()` it calls. Raises LabError.
    """
    sources = source_files(packages)
    byte_code = _compile(root, sources)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(sources.items()):
            add_file(tar, f"{SITE}/{name}", content)
            folder, _, file = f"{SITE}/{name}".rpartition("/")
            add_file(tar, f"{folder}/__pycache__/{file.removesuffix('.py')}.cpython-311.pyc", byte_code[name])
        for path, module in sorted(commands.items()):
            add_file(tar, path, START.format(module=module).encode(), 0o755)
    return buffer.getvalue()


def source_files(packages: Iterable[str]) -> dict[str, bytes]:
    """Path below the package's root and content: the packages, and the `__init__.py` of all above them."""
    standins = Path(__file__).parent
    paths = [path for package in packages for path in (standins / package).rglob("*.py")]
    paths += [folder / "__init__.py" for folder in (standins, *standins.parents) if folder.is_relative_to(PACKAGE_ROOT)]
    return {
        str(path.relative_to(PACKAGE_ROOT)): path.read_bytes()
        for path in paths
        if path.exists() and path.parent != PACKAGE_ROOT
    }


def fingerprint(sources: Mapping[str, bytes]) -> str:
    """What changes when one of the files does."""
    parts = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(sources.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _compile(root: Path, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Byte code of each file, made in a chroot of the base tree, which is not written to. Raises LabError."""
    texts = json.dumps({f"{SITE}/{name}": content.decode() for name, content in sources.items()})
    try:
        ended = subprocess.run(
            ["chroot", str(root), "/usr/bin/python3", "-I", "-B", "-c", COMPILE],
            input=texts,
            capture_output=True,
            text=True,
            timeout=COMPILE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"The stand-ins' programs could not be compiled: {error}") from error
    if ended.returncode != 0:
        raise LabError(f"The stand-ins' programs could not be compiled: {ended.stderr.strip()[-500:]}")
    found = json.loads(ended.stdout)
    return {name: never_checked(base64.b64decode(found[f"{SITE}/{name}"])) for name in sources}
