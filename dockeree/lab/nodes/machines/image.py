"""The node images ("AMIs"), built once and kept in the user's cache as overlay layers.

    CACHE/images/base-KEY/root              a whole root tree, from debootstrap
    CACHE/images/baked-KEY/root             what the engine adds to it
    CACHE/images/baked-settings-KEY/root    files and units, see recipe.py; likewise bare-…

A node's root is an overlay of these folders, read-only, below a folder of its own. A layer is built in a folder beside
its place and renamed when whole.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from dockeree.lab.nodes.machines import recipe
from dockeree.lab.nodes.machines.host import debian_mirror, proxy_environment, run
from dockeree.lab.nodes.machines.layer import RUN_TIMEOUT_SECONDS, Layer, make_folders, new_layer, run_in_layer
from dockeree.lab.settings import cache_dir
from dockeree.lab.world import LabError

Variant = Literal["baked", "bare"]
Say = Callable[[str], None]

INSTALL = r"""
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get -q update
apt-get -q -y --no-install-recommends install "$@"
apt-get clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
"""
"""Installs packages without starting a service: policy-rc.d is what Debian's maintainer scripts ask first."""


@dataclass(frozen=True)
class NodeImage:
    """A built image: the folders of its overlay, uppermost first."""

    variant: Variant
    layers: tuple[Path, ...]


def images_dir() -> Path:
    """Where the layers of all images lie."""
    return cache_dir() / "images"


def ensure_image(variant: Variant, say: Say = lambda text: None) -> NodeImage:
    """The image of `variant`, its layers built now where they are not there: about a minute and a half, 650 MB.

    Raises LabError naming the command that failed; nothing half-built is left then.
    """
    tree = recipe.VARIANTS[variant]
    with _one_builder():
        base = _ensure_layer(f"base-{recipe.base_key()}", _debootstrap, say)
        packages = _ensure_layer(
            f"{variant}-{recipe.packages_key(tree)}",
            lambda layer: _install((base,), layer, tree.packages),
            say,
        )
        settings = _ensure_layer(
            f"{variant}-settings-{recipe.settings_key(tree)}",
            lambda layer: _lay_settings((packages, base), layer, tree),
            lambda text: None,
        )
        _remove_outdated()
    return NodeImage(variant, (settings, packages, base))


@contextmanager
def image_in_use(image: NodeImage) -> Iterator[None]:
    """Hold the layers of an image: a lab with newer recipes leaves them alone meanwhile."""
    with ExitStack() as held:
        for layer in image.layers:
            file = held.enter_context(_in_use_file(layer.parent).open("a"))
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def _one_builder() -> Iterator[None]:
    images_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(images_dir() / ".lock"):
        # Whoever held the lock before is gone: what it left half-built is nobody's.
        for folder in images_dir().glob(".building-*"):
            shutil.rmtree(folder, ignore_errors=True)
        yield


def _ensure_layer(name: str, build: Callable[[Layer], None], say: Say) -> Path:
    place = images_dir() / name
    if not place.is_dir():
        say(f"Building the node image: {name.rsplit('-', 1)[0]} (once; kept in {images_dir()})")
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=images_dir()))
        try:
            layer = new_layer(folder)
            build(layer)
            finished = folder / "finished"
            finished.mkdir()
            layer.upper.rename(finished / "root")
            finished.rename(place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return place / "root"


def _debootstrap(layer: Layer) -> None:
    root = layer.upper
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(recipe.BASE.packages)}", "--force-check-gpg"]
    mirror = debian_mirror(recipe.SUITE)
    run(
        [*command, recipe.SUITE, str(root), *([mirror] if mirror else [])],
        what="building the base image",
        environment={**proxy_environment(), "LC_ALL": "C.UTF-8"},
        timeout_seconds=RUN_TIMEOUT_SECONDS,
    )
    for path in (*root.glob("etc/ssh/ssh_host_*"), *root.glob("var/cache/apt/archives/*.deb")):
        path.unlink()
    for folder in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / folder, ignore_errors=True)
    # debootstrap copies the host's own into the tree.
    (root / "etc/hostname").unlink(missing_ok=True)
    # Empty, not missing: systemd then makes a new one at boot without taking it for the very first boot of the tree.
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    # A resolver that never answers holds cloud-init for a minute; one that refuses does not.
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")


def _install(below: tuple[Path, ...], layer: Layer, packages: tuple[str, ...]) -> None:
    run_in_layer(below, layer, INSTALL, *packages, what="installing the packages of the node image")


def _lay_settings(below: tuple[Path, ...], layer: Layer, variant: recipe.Recipe) -> None:
    """Files owned by root, readable by all, scripts executable, whatever this checkout's modes; then the units."""
    for tree in (recipe.BASE, variant):
        for path in recipe.files_of(tree):
            target = layer.upper / path.relative_to(recipe.ROOTFS / tree.name)
            make_folders(target.parent, layer.upper)
            content = path.read_bytes()
            target.write_bytes(content)
            target.chmod(0o755 if content.startswith(b"#!") else 0o644)
        units = layer.upper / "etc/systemd/system"
        for unit, wanted_by in tree.enabled:
            make_folders(units / f"{wanted_by}.wants", layer.upper)
            os.symlink(f"../{unit}", units / f"{wanted_by}.wants" / unit)
        for unit in tree.masked:
            os.symlink("/dev/null", units / unit)
    run_in_layer(below, layer, recipe.SETTLE, *variant.disabled, what="settling the node image")


def _remove_outdated() -> None:
    """Remove layers of other recipes that no lab holds."""
    current = {f"base-{recipe.base_key()}"}
    for name, tree in recipe.VARIANTS.items():
        current |= {f"{name}-{recipe.packages_key(tree)}", f"{name}-settings-{recipe.settings_key(tree)}"}
    for layer in images_dir().iterdir():
        if layer.name.startswith(".") or layer.name in current:
            continue
        with _in_use_file(layer).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(layer, ignore_errors=True)
        if layer.exists():
            raise LabError(f"The outdated node image {layer} could not be removed: remove it by hand")


def _in_use_file(layer: Path) -> Path:
    return layer / "in-use"
