"""Takes a lab's network away without knowing anything but its tag: after a crash as after an orderly end."""

from __future__ import annotations

import socket

from dockeree.lab.network import addresses, namespaces
from dockeree.lab.network.hosts import remove_host_names


def remove_network(tag: str) -> None:
    """Delete every namespace, cable, route and rule of a lab, and its names on the host. Fine where there is nothing.

    The host's own namespace holds one interface of a lab, and its route goes with it; all the rest lies in namespaces.
    A namespace in which processes still live goes from sight now and from memory with the last of them.
    Raises LabError.
    """
    link = addresses.host_link(tag)
    if link in {name for _, name in socket.if_nameindex()}:
        namespaces.run_tool(["ip", "link", "del", link])
    namespaces.delete(namespaces.names_with_prefix(f"{tag}-"))
    remove_host_names(tag)
