"""What machines are made of, without making any: boot files, recipes, container images, repositories, command lines."""

import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from dockeree.lab.nodes.machines import apt_repository, cgroups, host, image, recipe
from dockeree.lab.nodes.machines.boot import boot_command, leader_of
from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.container_image import ContainerImage, push
from dockeree.lab.nodes.machines.disk import NodeDisk, Surroundings, boot_files
from dockeree.lab.nodes.machines.layer import Layer, make_folders, new_layer
from dockeree.lab.world import LabError, NodeSpec

SURROUNDINGS = Surroundings("http://198.18.3.2", "http://198.18.3.2:5000", "http://198.18.3.2:8080", "ec2.internal")


def spec(variant: Any = "baked") -> NodeSpec:
    return NodeSpec(
        instance_id="i-0abc",
        image_id="ami-1",
        image_variant=variant,
        instance_type="m5.large",
        zone="us-east-1a",
        subnet_id="subnet-1",
        vpc_id="vpc-1",
        private_ip="10.32.0.5",
        public_ip=None,
        hostname="ip-10-32-0-5",
        user_data=b"",
        authorized_key=None,
        root_volume_gib=8,
    )


def test_boot_files_tell_the_node_its_name_its_resolver_and_the_endpoint() -> None:
    files = boot_files(spec(), SURROUNDINGS, "10.32.0.2")
    assert files["etc/hostname"] == "ip-10-32-0-5\n"
    assert "10.32.0.5 ip-10-32-0-5" in files["etc/hosts"]
    assert files["etc/resolv.conf"] == "nameserver 10.32.0.2\nsearch ec2.internal\n"
    assert 'DefaultEnvironment="AWS_ENDPOINT_URL=http://198.18.3.2"' in files["etc/systemd/system.conf.d/50-lab.conf"]
    assert files["etc/environment"] == "AWS_ENDPOINT_URL=http://198.18.3.2\n"
    assert "--registry-mirror=http://198.18.3.2:5000" in files["etc/systemd/system/docker.service.d/50-lab.conf"]
    assert "etc/docker/daemon.json" not in files
    assert "etc/apt/sources.list" not in files


def test_only_bare_nodes_have_the_labs_packages() -> None:
    files = boot_files(spec("bare"), SURROUNDINGS, "10.32.0.2")
    assert files["etc/apt/sources.list"] == "deb [trusted=yes] http://198.18.3.2:8080 ./\n"


def test_a_disk_is_readable_inside_the_node_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        disk = NodeDisk(tmp_path / "i-0abc")
        disk.create(spec(), SURROUNDINGS, "10.32.0.2")
    finally:
        os.umask(before)
    assert disk.folder.stat().st_mode & 0o777 == 0o700
    for path in (disk.upper, disk.upper / "etc", disk.upper / "etc/systemd/system.conf.d"):
        assert path.stat().st_mode & 0o777 == 0o755
    assert (disk.upper / "etc/hosts").stat().st_mode & 0o777 == 0o644
    disk.delete()
    disk.delete()
    assert not disk.exists()


def test_a_second_disk_of_one_node_is_refused(tmp_path: Path) -> None:
    disk = NodeDisk(tmp_path / "i-0abc")
    disk.create(spec(), SURROUNDINGS, "10.32.0.2")
    with pytest.raises(LabError, match="disk of i-0abc"):
        disk.create(spec(), SURROUNDINGS, "10.32.0.2")


def test_layers_change_with_what_they_are_made_of_and_with_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = recipe.base_key(), recipe.packages_key(recipe.BAKED), recipe.settings_key(recipe.BAKED)
    assert keys == (recipe.base_key(), recipe.packages_key(recipe.BAKED), recipe.settings_key(recipe.BAKED))
    assert recipe.settings_key(recipe.BAKED) != recipe.settings_key(recipe.BARE)
    files = recipe.files_of(recipe.BASE)
    monkeypatch.setattr(recipe, "files_of", lambda tree: files[1:])
    assert recipe.settings_key(recipe.BAKED) != keys[2]
    assert recipe.packages_key(recipe.BAKED) == keys[1]


def test_a_layer_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "cache_dir", lambda: tmp_path)
    image.images_dir().mkdir()

    def fails(layer: Layer) -> None:
        (layer.upper / "half").touch()
        raise LabError("the mirror is away")

    said: list[str] = []
    with pytest.raises(LabError, match="away"):
        image._ensure_layer("base-1", fails, said.append)
    assert list(image.images_dir().iterdir()) == []
    built = image._ensure_layer("base-1", lambda layer: (layer.upper / "file").touch(), said.append)
    assert (built / "file").exists()
    assert built.stat().st_mode & 0o777 == 0o755
    assert image._ensure_layer("base-1", fails, said.append) == built
    assert len(said) == 2


def test_outdated_layers_go_unless_a_lab_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "cache_dir", lambda: tmp_path)
    for name in ("base-old", "baked-old"):
        (image.images_dir() / name / "root").mkdir(parents=True)
    held = image.NodeImage("baked", (image.images_dir() / "baked-old" / "root",))
    with image.image_in_use(held):
        image._remove_outdated()
        assert [path.name for path in image.images_dir().iterdir()] == ["baked-old"]
    image._remove_outdated()
    assert list(image.images_dir().iterdir()) == []


def test_make_folders_stays_below_the_root(tmp_path: Path) -> None:
    layer = new_layer(tmp_path)
    make_folders(layer.upper / "etc/cloud", layer.upper)
    assert (layer.upper / "etc/cloud").stat().st_mode & 0o777 == 0o755


def test_a_failed_command_is_told_with_its_last_lines() -> None:
    with pytest.raises(LabError, match=r"trying it: sh ended with 3: .*second"):
        host.run(["sh", "-c", "echo first; echo second >&2; exit 3"], what="trying it")
    with pytest.raises(LabError, match="could not be started"):
        host.run(["/not/there"], what="trying it")
    with pytest.raises(LabError, match="within 0 s"):
        host.run(["sleep", "5"], what="trying it", timeout_seconds=0.1)


def test_mirror_of_the_hosts_own_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "apt-get"
    lines = (
        "bookworm-updates main http://updates/debian/\nbookworm contrib http://no/\nbookworm main http://mirror/debian/"
    )
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert host.debian_mirror("bookworm") == "http://mirror/debian/"
    assert host.debian_mirror("noble") is None
    program.write_text("#!/bin/sh\nexit 100\n")
    assert host.debian_mirror("bookworm") is None


def test_proxy_of_the_hosts_own_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "apt-config"
    program.write_text("#!/bin/sh\necho \"http_proxy='http://proxy:3142'\"; echo \"https_proxy='DIRECT'\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert host.proxy_environment() == {"http_proxy": "http://proxy:3142"}


def test_boot_command_enters_every_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
    mounted = [(tmp_path / "memory", "cgroup"), (tmp_path / "pids", "cgroup")]
    monkeypatch.setattr(cgroups, "hierarchies", lambda: mounted)
    cgroup = Cgroup("dockeree-d000000/i-0abc")
    cgroup.create()
    command = boot_command(
        machine="d000000-i-0abc",
        hostname="ip-10-32-0-5",
        namespace="d000000-i",
        layers=(Path("/settings"), Path("/base")),
        disk=NodeDisk(tmp_path / "disk"),
        cgroup=cgroup,
    )
    assert command[4].split() == [f"{mount}/dockeree-d000000/i-0abc/cgroup.procs" for mount, _ in mounted]
    assert command[5] == "/settings:/base"
    assert "--network-namespace-path=/run/netns/d000000-i" in command


def test_pure_cgroup_v2_hands_its_controllers_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [(tmp_path, "cgroup2")])
    Cgroup("dockeree-d000000").create()
    # A plain file keeps the last of the controllers that a real one would add up.
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "dockeree-d000000").is_dir()


def test_no_leader_without_a_pid_namespace() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert leader_of(os.getpid()) is None
    finally:
        child.kill()
        child.communicate()
    assert leader_of(2**22 + 1) is None


class RegistryStub(BaseHTTPRequestHandler):
    """Keeps what is pushed, as the distribution API specifies it, and checks digests."""

    kept: dict[str, bytes] = {}
    refuses = False

    def address_string(self) -> str:
        return "socket"

    def do_HEAD(self) -> None:
        self.answer(200 if self.path.rpartition("/")[2] in self.kept else 404)

    def do_POST(self) -> None:
        self.answer(500 if self.refuses else 202, Location=f"http://registry{self.path}upload?_state=x")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if "/uploads/" in self.path:
            assert f"_state=x&digest={digest.replace(':', '%3A')}" in self.path
            self.kept[digest] = body
        else:
            self.kept[self.path] = body
        self.answer(201)

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    path = tmp_path / "registry.socket"
    RegistryStub.kept, RegistryStub.refuses = {}, False
    with ThreadingUnixStreamServer(str(path), RegistryStub) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_an_image_is_pushed_whole_and_alike_each_time(registry: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/program").write_text("x")
    pushed = ContainerImage("mirantis/ucp:3.8.0", root, command=("program",), stop_signal="SIGKILL")
    digest = push(registry, pushed)
    manifest_bytes = RegistryStub.kept["/v2/mirantis/ucp/manifests/3.8.0"]
    assert digest == f"sha256:{hashlib.sha256(manifest_bytes).hexdigest()}"
    manifest = json.loads(manifest_bytes)
    layer = RegistryStub.kept[manifest["layers"][0]["digest"]]
    config = json.loads(RegistryStub.kept[manifest["config"]["digest"]])
    assert config["config"]["Cmd"] == ["program"]
    assert config["config"]["StopSignal"] == "SIGKILL"
    tar = gzip.decompress(layer)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as content:
        assert content.getnames() == ["bin", "bin/program"]
    assert push(registry, pushed) == digest


def test_a_registry_that_refuses_is_quoted(registry: Path) -> None:
    RegistryStub.refuses = True
    with pytest.raises(LabError, match="answered 500 to POST /v2/a/b/blobs/uploads/"):
        push(registry, ContainerImage("a/b:1", b"tar"))


def test_a_repository_vouches_for_its_packages(tmp_path: Path) -> None:
    package = tmp_path / "tree/DEBIAN"
    package.mkdir(parents=True)
    (package / "control").write_text(
        "Package: thing\nVersion: 1:2+b1\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.com>\nDescription: a thing\n"
    )
    deb = tmp_path / "thing_1%3a2+b1_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", package.parent, deb], check=True, capture_output=True)
    repository = tmp_path / "repository"
    repository.mkdir()
    apt_repository._write_repository([deb], repository)
    packages = (repository / "Packages").read_text()
    fields = dict(line.split(": ", 1) for line in packages.splitlines() if ": " in line)
    file = repository / fields["Filename"]
    assert fields["Version"] == "1:2+b1"
    assert file.stat().st_size == int(fields["Size"])
    assert hashlib.sha256(file.read_bytes()).hexdigest() == fields["SHA256"]
    assert hashlib.sha256(packages.encode()).hexdigest() in (repository / "Release").read_text()


def test_packages_are_made_when_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Packages").write_text("Package: thing\n")
    answers: list[Path | LabError] = [LabError("no mirror"), tmp_path]

    def ensure(packages: tuple[str, ...], say: object) -> Path:
        answer = answers.pop(0)
        if isinstance(answer, LabError):
            raise answer
        return answer

    monkeypatch.setattr(apt_repository, "ensure_packages", ensure)
    repository = apt_repository.PackageRepository(socket.create_server(("127.0.0.1", 0)))
    repository.start()
    url = "http://{}:{}/Packages".format(*repository._server.server_address)
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url)
        assert refused.value.code == 503
        assert b"no mirror" in refused.value.read()
        refused.value.close()
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"Package: thing\n"
    finally:
        repository.close()
