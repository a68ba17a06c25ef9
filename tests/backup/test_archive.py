"""What is in a backup: certificates read, keys fitted, the tar, and damage of every kind."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from support import authorities
from support.authorities import CLIENT_CERT, CLIENT_KEY, CLUSTER_CERT, CLUSTER_KEY, MOMENT, SWARM_NODE, SWARM_ROOT

from dockeree.backup import archive, manifest
from dockeree.backup.certificates import is_signed_by, read_certificates
from dockeree.backup.errors import BackupError, DamagedBackup
from dockeree.backup.manifest import Manifest, Versions
from dockeree.node import root_ca


def described(files: dict[str, bytes] | None = None) -> Manifest:
    return manifest.describe(
        files or authorities.files(),
        cluster="demo",
        cluster_id="0000000a",
        swarm_id="k" * 25,
        versions=Versions("25.0.14", "3.8.12", None),
        dockeree_version="0.1.0",
        moment=MOMENT,
    )


def test_a_manifest_names_every_certificate_and_no_key() -> None:
    files = authorities.files()
    made = described(files)
    assert [(c.path, c.subject) for c in made.certificates] == [
        (CLUSTER_CERT, "CN=swarm-ca"),
        (CLIENT_CERT, "CN=UCP Client Root CA"),
        (SWARM_ROOT, "CN=swarm-ca"),
        (SWARM_NODE, "CN=node1"),
        (SWARM_NODE, "CN=swarm-ca"),
    ]
    from cryptography.hazmat.primitives import hashes

    root = x509.load_pem_x509_certificate(files[CLUSTER_CERT])
    assert made.certificates[0].fingerprint_sha256 == root.fingerprint(hashes.SHA256()).hex()
    assert made.certificates[0].not_after == "2046-11-19T12:00:00+00:00"
    assert set(made.fingerprints) == {"ucp-cluster-root-ca", "ucp-client-root-ca", "swarm-root-ca"}
    assert made.fingerprints["ucp-cluster-root-ca"] == made.fingerprints["swarm-root-ca"]
    assert b"PRIVATE" not in made.dump()
    assert manifest.parse(made.dump()) == made


def test_ids_sort_by_age_wherever_they_are_made() -> None:
    tokyo = timezone(timedelta(hours=9))
    earlier = manifest.new_id(datetime(2026, 11, 24, 20, 59, tzinfo=tokyo))
    later = manifest.new_id(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
    assert earlier < later
    assert later.startswith("20261124T120000Z-")
    assert len({manifest.new_id(MOMENT) for _ in range(20)}) > 1
    for wrong in ("", "latest", "../../etc", f"{later}.age", later.upper().replace("Z", "z")):
        with pytest.raises(BackupError, match="no backup's id"):
            manifest.check_id(wrong)


def test_packed_and_taken_apart_and_packed_again_is_the_same() -> None:
    files, made = authorities.files(), described()
    packed = archive.pack(made, files)
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        members = tar.getmembers()
    assert members[0].name == "manifest.json"
    assert {(m.mode, m.uid, m.uname, m.mtime) for m in members} == {(0o600, 0, "root", int(MOMENT.timestamp()))}
    apart = archive.take_apart(packed)
    assert apart.manifest == made
    assert {name: bytes(data) for name, data in apart.files.items()} == files
    archive.check(apart)
    assert archive.pack(apart.manifest, apart.files) == packed
    apart.wipe()
    assert set(apart.files[CLUSTER_KEY]) == {0}


def test_a_key_of_another_certificate_is_named() -> None:
    files, others = authorities.files(), authorities.new_files()
    for certificate, key in ((CLUSTER_CERT, CLUSTER_KEY), (CLIENT_CERT, CLIENT_KEY)):
        with pytest.raises(DamagedBackup, match=f"{key} is not the key of {certificate}"):
            archive.check_keys(files | {key: others[key]})


def test_a_manifest_of_other_certificates_is_told_from_its_own() -> None:
    files = authorities.files()
    made = described(files)
    wrong = replace(made, certificates=made.certificates[:-1])
    with pytest.raises(DamagedBackup, match="not those that its manifest names"):
        archive.check(archive.take_apart(archive.pack(wrong, files)))


@pytest.mark.parametrize("name", [CLUSTER_KEY, CLIENT_CERT, SWARM_NODE])
@pytest.mark.parametrize("contents", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"])
def test_a_file_that_is_something_else_is_named_and_not_quoted(name: str, contents: bytes) -> None:
    files = authorities.files() | {name: contents}

    def read() -> None:
        manifest.read_all(files)
        archive.check_keys(files)

    with pytest.raises(DamagedBackup, match=name) as caught:
        read()
    assert "AAAA" not in str(caught.value)


def test_a_root_that_signed_the_nodes_is_told_from_one_that_did_not() -> None:
    files, others = authorities.files(), authorities.new_files()
    assert archive.signs_its_nodes(files)
    assert not archive.signs_its_nodes(files | {CLUSTER_CERT: others[CLUSTER_CERT]})


def test_a_swarm_whose_root_was_rotated_has_an_intermediate() -> None:
    """`docker swarm ca --rotate`: nodes show the new root's key in a certificate that the old root signed."""
    old, new = authorities.certificate("swarm-ca"), authorities.certificate("swarm-ca")
    crossed = authorities.certificate("swarm-ca", old, key=new[1], is_authority=True)
    chain = authorities.pem(authorities.certificate("node1", new)) + authorities.pem(crossed)
    other = authorities.certificate("swarm-ca")
    for root, expected in ((new, True), (old, True), (other, False)):
        assert is_signed_by("node", chain, "root", authorities.pem(root)) is expected
    assert is_signed_by("node", chain, "roots", authorities.pem(other) + authorities.pem(new))
    unlinked = authorities.pem(authorities.certificate("node1", other)) + authorities.pem(crossed)
    assert not is_signed_by("node", unlinked, "root", authorities.pem(old))
    assert len(read_certificates("node", chain)) == 2


def test_what_does_not_belong_into_the_stream_is_refused() -> None:
    whole = authorities.files()
    names = tuple(whole)
    assert {name: bytes(data) for name, data in root_ca.unpack(authorities.tar_of(whole), names).items()} == whole
    without = {name: data for name, data in whole.items() if name != CLUSTER_KEY}
    with pytest.raises(ValueError, match=f"{CLUSTER_KEY} is missing"):
        root_ca.unpack(authorities.tar_of(without), names)
    with pytest.raises(ValueError, match="'other' does not belong there"):
        root_ca.unpack(authorities.tar_of(whole | {"other": b""}), names)
    one = authorities.tar_of({CLUSTER_KEY: whole[CLUSTER_KEY]})[:1024]
    doubled = one + authorities.tar_of(whole)
    with pytest.raises(ValueError, match="or is there twice"):
        root_ca.unpack(doubled, names)
    with pytest.raises(ValueError, match="too large"):
        root_ca.unpack(authorities.tar_of(whole | {CLUSTER_KEY: bytes(root_ca.MOST_BYTES_A_FILE + 1)}), names)


def test_a_link_in_the_place_of_a_key_is_refused() -> None:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo(CLUSTER_KEY)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    with pytest.raises(ValueError, match="no plain file"):
        root_ca.unpack(buffer.getvalue(), (CLUSTER_KEY,))


PACKED = bytes(archive.pack(described(), authorities.files()))


@settings(max_examples=300, deadline=None)
@given(length=st.integers(0, len(PACKED) - 1))
def test_cut_off_anywhere_is_one_error_or_only_padding(length: int) -> None:
    try:
        apart = archive.take_apart(PACKED[:length])
    except DamagedBackup:
        return
    assert set(PACKED[length:]) == {0}, "nothing but the padding at the end of a tar was cut off"
    archive.check(apart)


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(PACKED) - 1), byte=st.integers(1, 255), length=st.integers(1, 600))
def test_damage_anywhere_is_one_error_or_harmless(at: int, byte: int, length: int) -> None:
    """Encryption shows every damage before this; what gets here all the same must never be another exception."""
    damaged = bytearray(PACKED)
    for position in range(at, min(at + length, len(PACKED))):
        damaged[position] ^= byte
    try:
        apart = archive.take_apart(damaged)
        archive.check(apart)
    except BackupError:
        return
    assert apart.manifest.certificates == described().certificates


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(document=json_values, key=st.sampled_from(sorted(described().to_json())))
def test_a_manifest_with_anything_in_it_is_read_or_refused(document: Any, key: str) -> None:
    for candidate in (document, described().to_json() | {key: document}):
        try:
            manifest.from_json(candidate)
        except BackupError:
            continue


def test_a_newer_dockerees_manifest_says_so() -> None:
    with pytest.raises(BackupError, match="newer dockeree") as caught:
        manifest.from_json(described().to_json() | {"schema_version": 2})
    assert caught.value.hint == "Update dockeree."
    assert manifest.from_json(described().to_json() | {"added": 1}).schema_version == 1
