"""The apt repository of bare nodes: what a boot script installs on a real cloud image, served inside the lab.

The packages and everything they need are downloaded once, by the image's own apt, from the mirror that the image was
made from, and kept in the user's cache as a flat repository. A plain HTTP server in the lab's network serves it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from dockeree.lab.nodes.machines import recipe
from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.host import run
from dockeree.lab.nodes.machines.image import Say, ensure_image
from dockeree.lab.nodes.machines.layer import new_layer, run_in_layer
from dockeree.lab.nodes.machines.leftovers import lab_cgroup
from dockeree.lab.nodes.machines.service import NamespaceService
from dockeree.lab.nodes.machines.small_images import busybox_path
from dockeree.lab.settings import LabSettings, cache_dir
from dockeree.lab.world import LabError

PORT = 8080
PACKAGES = ("docker.io", "python3-boto3")
"""What the boot script installs on Ubuntu and Debian."""

DOWNLOAD = r"""
apt-get -q update
apt-get -q -y --no-install-recommends --download-only install "$@"
"""


class AptRepository:
    """The repository of one lab, inside a namespace."""

    def __init__(self, settings: LabSettings, *, namespace: str, address: str, port: int = PORT) -> None:
        self.url = f"http://{address}:{port}"
        """For Surroundings.apt_url."""
        busybox = busybox_path()
        if busybox is None:
            raise LabError("No statically linked busybox on this host (apt-get install busybox-static)")
        self._service = NamespaceService(
            name="The apt repository",
            command=[busybox, "httpd", "-f", "-p", f"{address}:{port}", "-h", str(repository_dir())],
            namespace=namespace,
            port=port,
            cgroup=Cgroup(f"{lab_cgroup(settings).name}/apt-repository"),
            log=settings.runtime_dir / "apt-repository.log",
        )

    def start(self) -> None:
        """Serve the packages (`ensure_packages` before); returns when it listens. Raises LabError."""
        repository_dir().mkdir(parents=True, exist_ok=True)
        self._service.start()

    def close(self) -> None:
        """Stop serving. The packages stay in the cache."""
        self._service.close()


def repository_dir(packages: tuple[str, ...] = PACKAGES) -> Path:
    """Where the repository lies, named by what it holds and the image it is made for."""
    key = hashlib.sha256("\0".join((recipe.packages_key(recipe.BARE), *packages)).encode()).hexdigest()[:12]
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
            # An empty folder may be there already: a lab that only serves it.
            shutil.rmtree(place, ignore_errors=True)
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
        "Origin: dockeree lab\nLabel: dockeree lab\nSuite: lab\nCodename: lab\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )
