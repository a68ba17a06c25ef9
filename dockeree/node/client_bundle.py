"""UCP's client bundle made into a docker context: the keys of the bundle, and where the docker client dials.

The archive holds what `docker context import` reads and nothing else: newer clients refuse one with more in it, which
UCP's own is.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

KEYS = ("ca.pem", "cert.pem", "key.pem")
MOST_BYTES = 4 * 1024 * 1024


def read_bundle(data: bytes | bytearray) -> dict[str, bytes]:
    """ca.pem, cert.pem and key.pem of a bundle (ZIP). Raises ValueError when it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [archive.getinfo(name).file_size for name in KEYS]
            if sum(sizes) > MOST_BYTES:
                raise ValueError(f"its files would be {sum(sizes)} bytes")
            return {name: archive.read(name) for name in KEYS}
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"it is no client bundle: {error}") from error


def context_files(name: str, description: str, host: str, keys: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a context called `name` that dials `host` (with its port), by their paths in the archive."""
    meta = {
        "Name": name,
        "Metadata": {"Description": description},
        "Endpoints": {"docker": {"Host": f"tcp://{host}", "SkipTLSVerify": False}},
    }
    files = {"meta.json": json.dumps(meta).encode()}
    return files | {f"tls/docker/{file}": keys[file] for file in KEYS}


def as_tar(files: Mapping[str, bytes]) -> bytes:
    """For `docker context import NAME -`, which takes a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def as_zip(files: Mapping[str, bytes]) -> bytes:
    """For `docker context import NAME FILE.zip`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100600 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
