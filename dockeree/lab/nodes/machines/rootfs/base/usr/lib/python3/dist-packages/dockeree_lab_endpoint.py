"""Teaches this image's boto3 the variable AWS_ENDPOINT_URL.

botocore knows the variable since 1.31; Debian 12 carries 1.29, Ubuntu 24.04 a newer one. The lab's nodes learn the
lab's address by that variable alone, so on an older botocore `Session.create_client` is given it as the default.
Nothing is imported before botocore itself is.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

FIRST_WITH_ENDPOINT_VARIABLE = (1, 31)


class _SessionLoader(importlib.abc.Loader):
    def __init__(self, original: importlib.abc.Loader) -> None:
        self.original = original

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.original.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.original.exec_module(module)
        version: str = sys.modules["botocore"].__version__
        if tuple(int(part) for part in version.split(".")[:2]) < FIRST_WITH_ENDPOINT_VARIABLE:
            _default_endpoint(module.Session)


class _SessionFinder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "botocore.session":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SessionLoader(spec.loader)
        return spec


def _default_endpoint(session_class: Any) -> None:
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


sys.meta_path.insert(0, _SessionFinder())
