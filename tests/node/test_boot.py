"""The user data: what it brings, what it must not hold, and the boot script run for real over fake commands."""

from __future__ import annotations

import ast
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dockeree import config
from dockeree.errors import DockereeError
from dockeree.node import boot
from dockeree.node.engine_source import engine_source

SCRIPT = Path(boot.__file__).with_name("boot.sh")


def _user_data(role: Any = "worker", *, trust_parameter: str = "", **engine: Any) -> bytes:
    return boot.user_data(
        role=role,
        cluster_name="demo",
        cluster_id="0123abcd",
        region="us-east-1",
        engine=config.Engine(**engine),
        join_parameter="/dockeree/demo/worker/join",
        trust_parameter=trust_parameter,
    )


def _files(data: bytes) -> dict[str, str]:
    return {file["path"]: file["content"] for file in _document(data)["write_files"]}


def _document(data: bytes) -> Any:
    text = gzip.decompress(data).decode()
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def test_the_same_configuration_gives_the_same_bytes() -> None:
    assert _user_data() == _user_data()
    assert _user_data("manager") != _user_data("worker")


@pytest.mark.parametrize("source", ["ubuntu", "preinstalled", "mirantis", "docker"])
@pytest.mark.parametrize("role", ["manager", "worker"])
def test_user_data_fits_into_ec2_s_limit_with_room_to_spare(role: str, source: str) -> None:
    assert len(_user_data(role, source=source)) < boot.USER_DATA_BYTES * 3 // 4


def test_user_data_over_the_limit_is_refused_here_and_not_by_ec2() -> None:
    with pytest.raises(DockereeError, match="EC2 takes 16384"):
        _user_data(source="docker", channel=os.urandom(20000).hex())


def test_workers_get_the_agent_and_managers_do_not() -> None:
    worker, manager = _files(_user_data("worker")), _files(_user_data("manager"))
    assert set(worker) - set(manager) == {
        "/opt/dockeree/agent.json",
        "/opt/dockeree/agent.py",
        "/etc/systemd/system/dockeree-agent.service",
    }
    assert worker["/opt/dockeree/boot.sh"] == manager["/opt/dockeree/boot.sh"] == SCRIPT.read_text()
    assert json.loads(worker["/opt/dockeree/agent.json"]) == {
        "cluster": "demo",
        "cluster_id": "0123abcd",
        "region": "us-east-1",
        "join_parameter": "/dockeree/demo/worker/join",
    }


def test_with_a_registry_workers_trust_it_before_they_join_and_join_without_it_all_the_same() -> None:
    files = _files(_user_data(trust_parameter="/dockeree/demo/worker/dtr-ca"))
    assert json.loads(files["/opt/dockeree/agent.json"])["trust_parameter"] == "/dockeree/demo/worker/dtr-ca"
    lines = files["/etc/systemd/system/dockeree-agent.service"].splitlines()
    programs = [line for line in lines if line.startswith("Exec")]
    assert programs == [
        "ExecStartPre=-/usr/bin/python3 /opt/dockeree/trust.py",
        "ExecStart=/usr/bin/python3 /opt/dockeree/agent.py",
    ]
    assert "ExecStartPre" not in _files(_user_data())["/etc/systemd/system/dockeree-agent.service"]


def test_no_node_takes_a_registry_without_tls() -> None:
    """`insecure-registries` would have engines talk to DTR without verifying it: no file of the project has it."""
    assert "insecure-registries" not in boot.DAEMON_SETTINGS
    package = Path(boot.__file__).parents[1]
    sources = [path for path in package.rglob("*") if path.suffix in {".py", ".sh", ".yaml", ".json"}]
    assert sources
    assert [path for path in sources if "insecure-registries" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("program", ["agent.py", "trust.py"])
def test_the_agent_arrives_whole_and_is_python_3_10(program: str) -> None:
    agent = _files(_user_data(trust_parameter="/dockeree/demo/worker/dtr-ca"))[f"/opt/dockeree/{program}"]
    assert agent.startswith("#!/usr/bin/env python3\n")
    ast.parse(agent, feature_version=(3, 10))
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(agent))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
    }  # fmt: skip
    assert "dockeree" not in imported


def test_the_last_command_decides_what_cloud_init_says() -> None:
    assert _document(_user_data("worker"))["runcmd"] == [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--now", "--no-block", "dockeree-agent.service"],
        ["systemctl", "enable", "--now", "dockeree-engine.service"],
    ]


def test_no_endpoint_and_no_secret() -> None:
    text = gzip.decompress(_user_data()).decode()
    for forbidden in ("SWMTKN", "PRIVATE KEY", "aws_secret", "AWS_ENDPOINT", "amazonaws.com"):
        assert forbidden not in text


def test_the_engine_s_bridges_stay_inside_what_the_preflight_keeps_free() -> None:
    settings = json.loads(_files(_user_data())["/opt/dockeree/daemon.json"])
    assert settings == {
        "log-driver": "json-file",
        "log-opts": {"max-size": "20m", "max-file": "3"},
        "bip": "172.17.0.1/16",
        "default-address-pools": [{"base": "172.18.0.0/16", "size": 22}],
    }


MIRANTIS = """\
Types: deb
URIs: https://repos.mirantis.com/ubuntu
Suites: @CODENAME@
Components: stable-25.0.14
Architectures: @ARCHITECTURE@
Signed-By: /etc/apt/keyrings/mirantis.asc
"""
DOCKER = """\
Types: deb
URIs: https://download.docker.com/linux/ubuntu
Suites: @CODENAME@
Components: stable
Architectures: @ARCHITECTURE@
Signed-By: /etc/apt/keyrings/docker.asc
"""


def test_mirantis_s_repository_as_mirantis_documents_it() -> None:
    source = engine_source(config.Engine(source="mirantis"))
    assert source.sources == MIRANTIS
    assert source.key_url == "https://repos.mirantis.com/ubuntu/gpg"
    assert source.packages == ("docker-ee", "docker-ee-cli", "containerd.io")
    other = engine_source(config.Engine(source="mirantis", channel="stable-29.4"))
    assert other.sources == MIRANTIS.replace("stable-25.0.14", "stable-29.4")


def test_docker_s_repository_as_docker_documents_it() -> None:
    source = engine_source(config.Engine(source="docker"))
    assert source.sources == DOCKER
    assert source.key_url == "https://download.docker.com/linux/ubuntu/gpg"
    assert source.packages == ("docker-ce", "docker-ce-cli", "containerd.io")


def test_the_distribution_s_own_package_and_none() -> None:
    assert engine_source(config.Engine()).packages == ("docker.io",)
    assert engine_source(config.Engine(source="preinstalled")).packages == ()


def test_bash_reads_the_script() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_shellcheck_finds_nothing() -> None:
    beside_python = Path(sys.executable).with_name("shellcheck")
    subprocess.run([str(beside_python), str(SCRIPT)], check=True)


class Node:
    """A root folder, and a PATH of fake commands that write down what they were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "etc/apt/sources.list.d").mkdir(parents=True)
        (folder / "etc/os-release").write_text("VERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n")
        self.command("systemctl", "true")
        self.command("sleep", "true")
        self.command("apt-mark", "true")
        self.command("dpkg-query", "exit 1")
        self.command("dpkg", "echo amd64")
        self.command("curl", 'while [ "$1" != -o ]; do shift; done; echo KEY >"$2"')
        self.command("apt-get", self.installs())

    def installs(self) -> str:
        """apt-get: `install` of an engine makes `docker` and `dockerd`."""
        return (
            f'case "$*" in *" install "*docker*) for name in docker dockerd; do '
            f"printf '#!/bin/bash\\necho 24.0.7\\n' >{self.bin}/$name; chmod +x {self.bin}/$name; done;; esac"
        )

    def command(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.folder}/calls\n{body}\n')
        path.chmod(0o755)

    def with_engine(self) -> None:
        for name in ("docker", "dockerd"):
            self.command(name, "echo 24.0.7")

    def boot(self, role: str = "manager", **engine: Any) -> subprocess.CompletedProcess[str]:
        for path, content in _files(_user_data(role, **engine)).items():
            target = self.folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._moved(content))
        # python3 says whether boto3 is there, and merges the engine's settings: the real one does the latter.
        python = shutil.which("python3") or "python3"
        self.command("python3", f'[ "$1" = -c ] && exit 1\nexec {python} "$@"')
        script = self.folder / "opt/dockeree/boot.sh"
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder)}
        return subprocess.run(
            ["bash", str(script)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def _moved(self, content: str) -> str:
        for folder in ("/opt/dockeree/", "/etc/docker", "/etc/apt/", "/etc/os-release"):
            content = content.replace(folder, f"{self.folder}{folder}")
        return content

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def called(self, name: str) -> list[str]:
        return [call for call in self.calls if call.startswith(f"{name} ")]

    @property
    def daemon(self) -> Any:
        return json.loads((self.folder / "etc/docker/daemon.json").read_text())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    if Path("/usr/bin/dockerd").exists() or Path("/bin/dockerd").exists():
        pytest.skip("this machine has an engine in /usr/bin, which the script would find")
    return Node(tmp_path)


def test_a_bare_node_gets_the_distribution_s_engine(node: Node) -> None:
    result = node.boot("worker")
    assert result.returncode == 0, result.stdout + result.stderr
    update, install = node.called("apt-get")
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends docker.io python3-boto3")
    assert "-o DPkg::Lock::Timeout=600" in install
    assert "dockeree-boot: the engine answers: 24.0.7" in result.stdout
    assert node.daemon["log-opts"] == {"max-size": "20m", "max-file": "3"}
    assert "systemctl start docker.service" in node.calls


def test_a_baked_node_leaves_apt_alone(node: Node) -> None:
    node.with_engine()
    assert node.boot("manager").returncode == 0
    assert node.called("apt-get") == []


def test_a_second_boot_changes_nothing(node: Node) -> None:
    node.with_engine()
    node.boot("manager")
    (node.folder / "calls").unlink()
    before = (node.folder / "etc/docker/daemon.json").stat().st_mtime_ns
    assert node.boot("manager").returncode == 0
    assert (node.folder / "etc/docker/daemon.json").stat().st_mtime_ns == before
    assert not [call for call in node.calls if "restart" in call or "apt-get" in call]


def test_the_image_s_own_settings_stay_but_for_live_restore(node: Node) -> None:
    node.with_engine()
    (node.folder / "etc/docker").mkdir()
    own = {"registry-mirrors": ["http://10.0.0.1:5000"], "live-restore": True, "log-driver": "syslog"}
    (node.folder / "etc/docker/daemon.json").write_text(json.dumps(own))
    assert node.boot("manager").returncode == 0
    assert node.daemon["registry-mirrors"] == ["http://10.0.0.1:5000"]
    assert "live-restore" not in node.daemon
    assert node.daemon["log-driver"] == "json-file"
    assert "systemctl restart docker.service" in node.calls


def test_a_repository_s_lines_and_key_are_written_for_this_node(node: Node) -> None:
    assert node.boot("manager", source="mirantis").returncode == 0
    lines = (node.folder / "etc/apt/sources.list.d/mirantis.sources").read_text()
    assert lines == MIRANTIS.replace("@CODENAME@", "noble").replace("@ARCHITECTURE@", "amd64").replace(
        "/etc/apt", f"{node.folder}/etc/apt"
    )
    assert (node.folder / "etc/apt/keyrings/mirantis.asc").read_text() == "KEY\n"
    assert node.called("apt-get")[1].endswith(" docker-ee docker-ee-cli containerd.io")


def test_package_lists_that_are_locked_are_tried_again(node: Node) -> None:
    lock = node.folder / "tries"
    node.command(
        "apt-get",
        f'if [ "$(wc -l <{node.folder}/calls)" -lt 4 ]; then touch {lock}; '
        "echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812' >&2; exit 100; fi\n"
        + node.installs(),
    )
    result = node.boot("manager")
    assert result.returncode == 0, result.stdout
    assert lock.exists()
    assert "dockeree-boot: apt-get update, attempt 1 of 8: E: Could not get lock" in result.stdout


def test_a_package_that_does_not_exist_fails_at_once_with_a_clear_line(node: Node) -> None:
    node.command("apt-get", 'case "$*" in *install*) echo "E: Unable to locate package docker.io" >&2; exit 100;; esac')
    result = node.boot("manager")
    assert result.returncode == 1
    assert "dockeree-boot: FAILED: the packages cannot be installed: docker.io" in result.stderr
    assert "E: Unable to locate package docker.io" in result.stdout
    assert len(node.called("apt-get")) == 2


def test_preinstalled_without_an_engine_says_so(node: Node) -> None:
    result = node.boot("manager", source="preinstalled")
    assert result.returncode == 1
    assert "dockeree-boot: FAILED: engine.source is preinstalled, but this image has no docker" in result.stderr


def test_packages_are_held_once(node: Node) -> None:
    node.with_engine()
    node.command("dpkg-query", 'case "$*" in *docker.io|*containerd|*runc) echo -n installed;; *) exit 1;; esac')
    node.command("apt-mark", '[ "$1" = showhold ] && echo runc || true')
    assert node.boot("manager").returncode == 0
    assert node.called("apt-mark")[1:] == ["apt-mark hold docker.io containerd"]


def test_an_unforeseen_failure_names_its_line(node: Node) -> None:
    node.with_engine()
    node.command("apt-mark", "exit 7")
    result = node.boot("manager")
    assert result.returncode == 1
    assert "dockeree-boot: FAILED: line " in result.stderr
    assert "ended with 7" in result.stderr
