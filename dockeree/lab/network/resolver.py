"""The VPC's resolver at base address + 2, over UDP and TCP. It knows what `names` knows and asks nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from dockeree.lab.network.names import VpcNames

PORT = 53
_SECONDS_TO_LIVE = 5
"""Short, so that a new address is seen soon; AWS gives balancers' names 60 s."""
_IDLE_SECONDS = 10
_PLAIN_UDP_SIZE = 512

logger = logging.getLogger(__name__)


def answer(names: VpcNames, wire: bytes, *, udp: bool) -> bytes | None:
    """The answer to one query, None to what is not a query at all."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    if query.flags & dns.flags.QR:
        return None
    response = dns.message.make_response(query, recursion_available=True)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        response.set_rcode(dns.rcode.NOTIMP)
    else:
        _fill(names, query.question[0], response)
    size = max(query.payload, _PLAIN_UDP_SIZE) if udp else 65535
    return response.to_wire(max_size=size, prefer_truncation=True)


def _fill(names: VpcNames, question: dns.rrset.RRset, response: dns.message.Message) -> None:
    if question.rdclass != dns.rdataclass.IN:
        response.set_rcode(dns.rcode.REFUSED)
        return
    if question.rdtype == dns.rdatatype.PTR:
        _fill_pointer(names, question, response)
        return
    found = names.look_up(question.name.to_text(omit_final_dot=True))
    for alias, target in found.aliases:
        response.answer.append(_record(alias, "CNAME", f"{target}."))
    if not found.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif found.addresses and question.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY):
        name = found.aliases[-1][1] if found.aliases else question.name.to_text(omit_final_dot=True)
        response.answer.append(_record(name, "A", *found.addresses))


def _fill_pointer(names: VpcNames, question: dns.rrset.RRset, response: dns.message.Message) -> None:
    try:
        address = dns.reversename.to_address(question.name)
    except (dns.exception.DNSException, ValueError):
        address = ""
    if address not in names.pointers:
        response.set_rcode(dns.rcode.NXDOMAIN)
        return
    name = question.name.to_text(omit_final_dot=True)
    response.answer.append(_record(name, "PTR", f"{names.pointers[address]}."))


def _record(name: str, kind: str, *values: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(f"{name}.", _SECONDS_TO_LIVE, "IN", kind, *values)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Callable[[], VpcNames]) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer(self._names(), data, udp=True)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)

    def error_received(self, exc: Exception) -> None:
        logger.debug("resolver: an answer could not be delivered: %s", exc)


class Resolver:
    """One VPC's resolver, on sockets that were opened in the VPC's namespace. All methods run on the loop's thread."""

    def __init__(self, names: Callable[[], VpcNames]) -> None:
        """`names` is asked at each query."""
        self._names = names
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self, datagrams: socket.socket, listener: socket.socket) -> None:
        """Serve on these two sockets, which the resolver closes in the end."""
        loop = asyncio.get_running_loop()
        datagrams.setblocking(False)
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._names), sock=datagrams)
        self._tcp = await asyncio.start_server(self._serve, sock=listener)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    reply = answer(self._names(), await reader.readexactly(length), udp=False)
                    if reply is None:
                        return
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def stop(self) -> None:
        """Close both sockets."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
