"""Teaches this image's boto3 the variable AWS_ENDPOINT_URL.

botocore knows the variable since 1.31; Debian 12 carries 1.29, Ubuntu 24.04 a newer one. The lab's nodes learn the
lab's address by that variable alone, so on an older botocore `Session.create_client` is given it as the default.

Every Python of the node runs this file at its start (cloud-init's four stages too), so it imports nothing that the
interpreter has not loaded already, and botocore is touched when somebody imports it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

FIRST_WITH_ENDPOINT_VARIABLE = (1, 31)


class SessionLoader:
    """Loads botocore.session as its own loader does, and adds the default."""

    def __init__(self, original: Loader) -> None:
        self.original = original

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the original."""
        return self.original.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the original, then lay the default over Session.create_client where botocore is too old for it."""
        self.original.exec_module(module)
        version: str = sys.modules["botocore"].__version__
        if tuple(int(part) for part in version.split(".")[:2]) < FIRST_WITH_ENDPOINT_VARIABLE:
            default_endpoint(module.Session)


class SessionFinder:
    """Finds botocore.session and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of whoever else finds it, with our loader round its own."""
        if fullname != "botocore.session":
            return None
        for finder in sys.meta_path:
            spec = None if isinstance(finder, SessionFinder) else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = SessionLoader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


def default_endpoint(session_class: Any) -> None:
    """Give create_client the variable's value where its caller names no endpoint."""
    create_client = session_class.create_client

    def create_client_at_endpoint(
        self: Any,
        service_name: str,
        region_name: str | None = None,
        api_version: str | None = None,
        use_ssl: bool = True,
        verify: Any = None,
        endpoint_url: str | None = None,
        *others: Any,
        **named: Any,
    ) -> Any:
        endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
        return create_client(
            self, service_name, region_name, api_version, use_ssl, verify, endpoint_url, *others, **named
        )

    session_class.create_client = create_client_at_endpoint


sys.meta_path.insert(0, SessionFinder())
