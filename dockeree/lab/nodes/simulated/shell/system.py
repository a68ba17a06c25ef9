"""Commands about the machine itself."""

from __future__ import annotations

from dockeree.lab.nodes.simulated import docker
from dockeree.lab.nodes.simulated.answer import Answer, refused, said
from dockeree.lab.nodes.simulated.docker import api
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.pace import utc_now
from dockeree.lab.nodes.simulated.shell.registry import Call, command

SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")


@command("docker")
def _docker(call: Call) -> Answer:
    return docker.run(call.machine, call.words, is_root=call.session.is_root)


@command("hostname")
def _hostname(call: Call) -> Answer:
    machine, words = call.machine, list(call.words)
    if not words or words == ["-s"]:
        return said(f"{machine.hostname}\n")
    if words in (["-f"], ["--fqdn"]):
        return said(f"{machine.hostname}.ec2.internal\n")
    if words in (["-I"], ["-i"]):
        return said(f"{machine.spec.private_ip}\n")
    if words[0].startswith("-"):
        return call.unknown(words[0])
    if not call.session.is_root:
        return call.failed("you must be root to change the host name")
    machine.hostname = words[0]
    return Answer()


@command("hostnamectl")
def _hostnamectl(call: Call) -> Answer:
    if len(call.words) == 2 and call.words[0] in ("set-hostname", "hostname"):
        call.machine.hostname = call.words[1]
        return Answer()
    return call.unknown(" ".join(call.words)) if call.words else said(f" Static hostname: {call.machine.hostname}\n")


@command("whoami")
def _whoami(call: Call) -> Answer:
    return said(f"{call.session.user}\n")


@command("id")
def _id(call: Call) -> Answer:
    number, user = (0, "root") if call.session.is_root else (1000, call.session.user)
    answers = {
        (): f"uid={number}({user}) gid={number}({user}) groups={number}({user})",
        ("-u",): str(number),
        ("-un",): user,
        ("-g",): str(number),
        ("-gn",): user,
        ("-Gn",): user,
    }
    text = answers.get(tuple(call.words))
    return said(f"{text}\n") if text is not None else call.unknown(" ".join(call.words))


@command("uname")
def _uname(call: Call) -> Answer:
    parts = {"-s": "Linux", "-n": call.machine.hostname, "-r": "6.8.0-1029-aws", "-m": "x86_64", "-o": "GNU/Linux"}
    words = list(call.words) or ["-s"]
    if words == ["-a"]:
        return said(f"Linux {call.machine.hostname} 6.8.0-1029-aws #31-Ubuntu SMP x86_64 x86_64 x86_64 GNU/Linux\n")
    if len(words) != 1 or words[0] not in parts:
        return call.unknown(" ".join(words))
    return said(f"{parts[words[0]]}\n")


@command("uptime")
def _uptime(call: Call) -> Answer:
    started = call.machine.started_at
    if list(call.words) in (["-s"], ["--since"]):
        return said(f"{started:%Y-%m-%d %H:%M:%S}\n")
    minutes = int((utc_now() - started).total_seconds() // 60)
    if list(call.words) in (["-p"], ["--pretty"]):
        return said(f"up {minutes} minutes\n")
    return said(f" {utc_now():%H:%M:%S} up {minutes} min,  1 user,  load average: 0.08, 0.05, 0.01\n")


@command("date")
def _date(call: Call) -> Answer:
    words = [word for word in call.words if word not in ("-u", "--utc")]
    if words and not words[0].startswith("+"):
        return call.unknown(words[0])
    return said(f"{utc_now():{words[0][1:] if words else '%a %b %e %H:%M:%S UTC %Y'}}\n")


@command("nproc")
def _nproc(_call: Call) -> Answer:
    return said("2\n")


@command("lsb_release")
def _lsb_release(call: Call) -> Answer:
    answers: dict[tuple[str, ...], str] = {
        ("-cs",): "noble",
        ("-rs",): "24.04",
        ("-is",): "Ubuntu",
        ("-ds",): '"Ubuntu 24.04.2 LTS"',
    }
    text = answers.get(tuple(call.words))
    return said(f"{text}\n") if text else call.unknown(" ".join(call.words))


@command("df")
def _df(call: Call) -> Answer:
    kibibytes = call.machine.spec.root_volume_gib * 1024 * 1024
    used = kibibytes // 10
    return said(
        "Filesystem     1K-blocks     Used Available Use% Mounted on\n"
        f"/dev/root      {kibibytes:9d} {used:8d} {kibibytes - used:9d}  10% /\n"
    )


@command("free")
def _free(_call: Call) -> Answer:
    return said(
        "               total        used        free      shared  buff/cache   available\n"
        "Mem:         8129848      412344     6983120         932      734384     7475932\n"
        "Swap:              0           0           0\n"
    )


@command("sync", "apt-mark", "modprobe", "sysctl")
def _nothing(_call: Call) -> Answer:
    return Answer()


@command("cloud-init")
def _cloud_init(call: Call) -> Answer:
    words = list(call.words)
    if words[:1] != ["status"] or not set(words[1:]) <= {"--wait", "--long", "-w", "-l"}:
        return call.unknown(" ".join(words))
    machine = call.machine
    if {"--wait", "-w"} & set(words):
        # It ends with the boot, be it done or cut off.
        while not machine.cloud_init_ended.wait(0.2):
            if machine.halted.is_set():
                return Answer(is_dropped=True)
    text = f"status: {machine.cloud_init}\n"
    if {"--long", "-l"} & set(words):
        errors = "".join(f"\t- {error}\n" for error in machine.cloud_init_errors)
        text += f"extended_status: {machine.cloud_init}\ndetail: DataSourceEc2Local\n"
        text += f"errors:\n{errors}" if errors else "errors: []\n"
    return said(text, 1 if machine.cloud_init == "error" else 0)


@command("curl")
def _curl(call: Call) -> Answer:
    """The engine's socket alone: nothing else in the simulation answers HTTP."""
    words = list(call.words)
    socket, url, method, data, write_out = "", "", "", None, ""
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in (
            "--unix-socket",
            "--data-binary",
            "--data",
            "-d",
            "--write-out",
            "-w",
            "--request",
            "-X",
            "--header",
            "-H",
            "--max-time",
            "-m",
            "--connect-timeout",
            "--output",
            "-o",
        ):
            value = value if equals else (words.pop(0) if words else "")
            socket = value if name == "--unix-socket" else socket
            data = value if name in ("--data-binary", "--data", "-d") else data
            write_out = value if name in ("--write-out", "-w") else write_out
            method = value if name in ("--request", "-X") else method
        elif name in ("--silent", "-s", "--show-error", "-S", "--fail", "-f", "-sS", "-fsS", "-fsSL"):
            continue
        elif word.startswith("-"):
            return call.unknown(word, 2)
        else:
            url = word
    if socket not in SOCKETS:
        call.machine.site.note_unknown(call.machine, f"curl {url}")
        return refused(f"curl: (7) Failed to connect to {url}: no route in the simulation\n", 7)
    return _ask_engine(call, url, method, data, write_out)


def _ask_engine(call: Call, url: str, method: str, data: str | None, write_out: str) -> Answer:
    if not call.session.is_root or not call.machine.engine.runs:
        return refused("curl: (7) Failed to connect to localhost port 80 after 0 ms: Couldn't connect to server\n", 7)
    body = b"" if data is None else data.encode()
    if data is not None and data.startswith("@"):
        try:
            is_stdin = data == "@-"
            body = call.read_stdin() if is_stdin else call.machine.filesystem.read(call.session.path(data[1:]))
        except FileError as error:
            return refused(f"curl: option --data-binary: {error}\n", 26)
    path = "/" + url.partition("://")[2].partition("/")[2]
    status, text = api.answer(call.machine, method or ("POST" if data is not None else "GET"), path, body)
    return said(text + write_out.replace("\\n", "\n").replace("%{http_code}", str(status)))


@command("python3", "python")
def _python(call: Call) -> Answer:
    words = list(call.words)
    while words and words[0] in ("-u", "-I", "-B", "-E", "-s"):
        words.pop(0)
    if words == ["--version"]:
        return said("Python 3.12.3\n")
    program = call.machine.site.programs.get(call.session.path(words[0])) if words else None
    if program is None:
        call.machine.site.note_unknown(call.machine, " ".join((call.name, *call.words)))
        return refused(f"{call.name}: the simulation runs no programs but dockeree's own\n", 127)
    if not call.machine.filesystem.exists(call.session.path(words[0])):
        return refused(f"{call.name}: can't open file '{words[0]}': [Errno 2] No such file or directory\n", 2)
    inner = Call(call.session, words[0], words[1:], call.read_stdin, call.run_words, call.run_line)
    return program(inner)
