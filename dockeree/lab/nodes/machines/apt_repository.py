"""The apt repository of bare nodes: what a boot script installs on a real cloud image, served inside the lab.

The packages and everything they need are downloaded once, by the image's own apt, from the mirror that the image was
made from, and kept in the user's cache as a flat repository. A plain HTTP server in the lab's network serves it.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

from filelock import FileLock

from dockeree.lab.nodes.machines import recipe
from dockeree.lab.nodes.machines.host import run
from dockeree.lab.nodes.machines.image import Say, ensure_image
from dockeree.lab.nodes.machines.layer import new_layer, run_in_layer
from dockeree.lab.settings import cache_dir
from dockeree.lab.world import LabError

logger = logging.getLogger(__name__)

FORMAT = 2
"""Raised when the same packages are laid out otherwise."""
PACKAGES = ("docker.io", "python3-boto3")
"""What the boot script installs on Ubuntu and Debian."""

DOWNLOAD = r"""
apt-get -q update
apt-get -q -y --no-install-recommends --download-only install "$@"
"""


class PackageRepository:
    """The repository of one lab: a thread of the lab's process, on a socket that was opened in the lab's network."""

    def __init__(
        self, listening: socket.socket, say: Say = lambda text: None, packages: tuple[str, ...] = PACKAGES
    ) -> None:
        """`listening` is closed with the repository. What is missing is downloaded when the first node asks: a lab
        without bare nodes never does."""
        self._packages = packages
        self._say = say
        self._server = _Server(listening, functools.partial(_Handler, self._folder))
        self._thread = threading.Thread(target=self._server.serve_forever, name="apt repository", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving and close the socket. The packages stay in the cache."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def _folder(self) -> Path:
        return ensure_packages(self._packages, self._say)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Callable[[], Path], *others: Any, **named: Any) -> None:
        self._folder = folder
        super().__init__(*others, **named)

    def do_GET(self) -> None:
        """Answer with a file of the repository; 503 and the reason when it could not be made."""
        try:
            self.directory = str(self._folder())
        except LabError as error:
            logger.error("the packages of bare nodes: %s", error)
            self.send_error(503, explain=str(error))
            return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are of no interest."""
        logger.debug(format, *args)


def repository_dir(packages: tuple[str, ...] = PACKAGES) -> Path:
    """Where the repository lies, named by what it holds and the image it is made for."""
    key = hashlib.sha256("\0".join((str(FORMAT), recipe.packages_key(recipe.BARE), *packages)).encode()).hexdigest()[
        :12
    ]
    return cache_dir() / "apt" / key


def ensure_packages(packages: tuple[str, ...] = PACKAGES, say: Say = lambda text: None) -> Path:
    """Download `packages` and all they need beyond the bare image, once: about 80 MB. Returns the repository's folder.

    Raises LabError.
    """
    place = repository_dir(packages)
    image = ensure_image("bare", say)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent / ".lock"):
        if (place / "Release").is_file():
            return place
        say(f"Downloading the packages that bare nodes install (once; kept in {place.parent})")
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
        try:
            layer = new_layer(folder)
            run_in_layer(image.layers, layer, DOWNLOAD, *packages, what="downloading the packages of bare nodes")
            repository = folder / "repository"
            repository.mkdir(mode=0o755)
            _write_repository(sorted(layer.upper.glob("var/cache/apt/archives/*.deb")), repository)
            for other in place.parent.iterdir():
                # Of other recipes. A lab that still serves one makes it again when it is asked.
                if not other.name.startswith("."):
                    shutil.rmtree(other, ignore_errors=True)
            repository.rename(place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return place


def _write_repository(debs: list[Path], repository: Path) -> None:
    """A flat repository: the files, `Packages`, and a `Release` that vouches for it by hash."""
    paragraphs = []
    for deb in debs:
        content = deb.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        control = run(["dpkg-deb", "--field", str(deb)], what=f"reading {deb.name}").strip()
        # apt's names in its cache have escapes (%3a) that no two programs treat alike.
        name = f"{deb.name.partition('_')[0]}_{digest[:12]}.deb"
        (repository / name).write_bytes(content)
        paragraphs.append(f"{control}\nFilename: ./{name}\nSize: {len(content)}\nSHA256: {digest}\n")
    packages = "\n".join(paragraphs).encode()
    (repository / "Packages").write_bytes(packages)
    (repository / "Release").write_text(
        f"Origin: dockeree lab\nLabel: dockeree lab\nSuite: lab\nCodename: lab\nDate: {formatdate(usegmt=True)}\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )
