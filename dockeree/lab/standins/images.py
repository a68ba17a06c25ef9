"""All stand-in images, put into the storage of the lab's registry under the real names.

    runtime layer (runtime_image.py) + program layer (program_layer.py) + a configuration each = an image a tag

Every tag of an image has the same layers: a tag is a version to play, and where to fail (program/release.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from dockeree.lab.nodes.machines import ContainerImage, add_image, ensure_image
from dockeree.lab.nodes.machines.container_image import PackedLayer
from dockeree.lab.nodes.machines.registry import storage_dir
from dockeree.lab.settings import cache_dir
from dockeree.lab.standins.program.release import FAIL_MARK
from dockeree.lab.standins.program_layer import fingerprint, program_tar, source_files
from dockeree.lab.standins.runtime_image import ensure_runtime_layer
from dockeree.lab.standins.ucp.progress import PHASES as UCP_PHASES
from dockeree.lab.standins.ucp.settings import IMAGE_VARIABLE as UCP_IMAGE_VARIABLE

STAND_IN_LABEL = "dockeree.stand-in"
FORMAT = 1
"""Raised when this file makes other images of the same programs."""

UCP_CURRENT = "mirantis/ucp:3.8.12"


@dataclass(frozen=True)
class Program:
    """What the images of one product are made of."""

    packages: tuple[str, ...]
    """Folders below dockeree/lab/standins."""
    commands: Mapping[str, str]
    """Path in the image and module whose main() it calls; the first is the image's entrypoint."""
    image_variable: str
    """The environment variable that tells the program its image's name."""
    names: tuple[str, ...]
    """Repository and tag of each image."""


UCP = Program(
    packages=("program", "ucp"),
    commands={
        "usr/bin/ucp-tool": "dockeree.lab.standins.ucp.bootstrapper",
        "usr/bin/ucp-role": "dockeree.lab.standins.ucp.role",
    },
    image_variable=UCP_IMAGE_VARIABLE,
    names=(
        "docker/ucp:3.2.6",
        "mirantis/ucp:3.2.8",
        "mirantis/ucp:3.3.5",
        "mirantis/ucp:3.7.25",
        UCP_CURRENT,
        "mirantis/ucp:3.9.6",
        *(f"{UCP_CURRENT}{FAIL_MARK}{phase}" for phase in UCP_PHASES),
    ),
)

PROGRAMS: tuple[Program, ...] = (UCP,)


def ensure_standin_images(say: Callable[[str], None] = lambda text: None) -> None:
    """Have every stand-in image in the lab's storage: some seconds, once for each version of their programs.

    Needs root. Raises LabError.
    """
    root = ensure_image("baked", say).layers[-1]
    with FileLock(cache_dir() / "stand-ins.lock"):
        runtime = ensure_runtime_layer(root)
        for program in PROGRAMS:
            _ensure(program, root, runtime, say)


def _ensure(program: Program, root: Path, runtime: PackedLayer, say: Callable[[str], None]) -> None:
    parts = [str(FORMAT), repr(program), runtime.diff_id, fingerprint(source_files(program.packages))]
    wanted = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    marker = storage_dir().with_name(f"registry-stand-ins-{program.packages[-1]}")
    if storage_dir().exists() and marker.exists() and marker.read_text() == wanted:
        return
    say(f"Building the stand-in images of {program.packages[-1].upper()} (once; kept in {storage_dir()})")
    for image in standin_images(program, root, runtime):
        add_image(image)
    marker.write_text(wanted)


def standin_images(program: Program, root: Path, runtime: PackedLayer) -> Iterable[ContainerImage]:
    """The images of a program. Raises LabError."""
    layer = program_tar(root, program.packages, program.commands)
    for name in program.names:
        yield ContainerImage(
            name=name,
            root=layer,
            base=runtime,
            entrypoint=(f"/{next(iter(program.commands))}",),
            environment={program.image_variable: name},
            labels={STAND_IN_LABEL: "true"},
        )
