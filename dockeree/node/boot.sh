#!/bin/bash
# Installs, configures and starts Docker Engine: the one mechanism for managers and workers, at every boot.
# Where the engine is there already (a baked image, a second boot) apt is not touched. Safe to repeat.
# What it says goes to the journal and the console (dockeree-engine.service).
set -Eeuo pipefail
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# ROLE, ENGINE_SOURCE, ENGINE_PACKAGES, ENGINE_KEY_URL, ENGINE_KEY_FILE, ENGINE_SOURCES_FILE
# shellcheck source=/dev/null
. /opt/dockeree/boot.conf

LOCK_SECONDS=600
ATTEMPTS=8
ENGINE_SECONDS=120

say() { echo "dockeree-boot: $*"; }
fail() {
    trap - ERR
    say "FAILED: $*" >&2
    exit 1
}
trap 'fail "line $LINENO: \`$BASH_COMMAND\` ended with $?"' ERR

has_engine() { command -v dockerd >/dev/null && command -v docker >/dev/null; }
has_agent_needs() { [ "$ROLE" != worker ] || python3 -c 'import boto3' 2>/dev/null; }

last_error() { grep '^E:' <<<"$1" | tail -n 1 || tail -n 1 <<<"$1"; }

# apt waits for dpkg's lock itself, but not for the one on its package lists; and mirrors and networks have bad moments.
apt_get() {
    local attempt output
    for attempt in $(seq "$ATTEMPTS"); do
        if output=$(apt-get -q -y -o "DPkg::Lock::Timeout=$LOCK_SECONDS" -o Acquire::Retries=3 \
            -o APT::Update::Error-Mode=any "$@" 2>&1); then
            return 0
        fi
        say "apt-get $1, attempt $attempt of $ATTEMPTS: $(last_error "$output")"
        if grep -qE 'Unable to locate package|has no installation candidate' <<<"$output"; then break; fi
        dpkg --configure -a >/dev/null 2>&1 || true # a power cut may have stopped dpkg half way
        sleep "$((attempt * 5))"
    done
    say "apt-get $*: $(last_error "$output")"
    return 1
}

# One broken repository of the image's own must not keep the engine away: whether the packages are there, apt says next.
install_now() {
    apt_get update || say "going on with the package lists there are"
    apt_get install --no-install-recommends "$@" || fail "the packages cannot be installed: $*"
}

add_repository() {
    [ -n "$ENGINE_KEY_URL" ] || return 0
    # shellcheck source=/dev/null
    . /etc/os-release
    mkdir -p /etc/apt/keyrings
    if ! curl -fsSL --retry 5 --retry-connrefused --max-time 60 -o "$ENGINE_KEY_FILE" "$ENGINE_KEY_URL"; then
        fail "the repository's key cannot be fetched: $ENGINE_KEY_URL"
    fi
    chmod 0644 "$ENGINE_KEY_FILE"
    sed -e "s/@CODENAME@/${UBUNTU_CODENAME:-$VERSION_CODENAME}/" -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" \
        /opt/dockeree/engine.sources >"$ENGINE_SOURCES_FILE"
}

install_packages() {
    local packages=()
    if ! has_engine; then
        [ "$ENGINE_SOURCE" != preinstalled ] || fail "engine.source is preinstalled, but this image has no docker"
        read -ra packages <<<"$ENGINE_PACKAGES"
    fi
    has_agent_needs || packages+=(python3-boto3)
    [ "${#packages[@]}" -gt 0 ] || return 0
    if ! has_engine && [ -n "$ENGINE_KEY_URL" ] && ! command -v curl >/dev/null; then
        install_now curl ca-certificates
    fi
    has_engine || add_repository
    say "installing ${packages[*]}"
    install_now "${packages[@]}"
    has_engine || fail "the packages are installed (${packages[*]}), but there is no docker"
}

# An unattended upgrade of the engine would restart it on all nodes in the same night.
hold_packages() {
    local held package missing=()
    held=$(apt-mark showhold)
    for package in docker.io docker-ce docker-ce-cli docker-ee docker-ee-cli containerd containerd.io runc; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] &&
            ! grep -qx "$package" <<<"$held"; then
            missing+=("$package")
        fi
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    for _ in $(seq "$LOCK_SECONDS"); do
        if apt-mark hold "${missing[@]}" >/dev/null 2>&1; then return 0; fi
        sleep 1
    done
    fail "the packages cannot be held: ${missing[*]}"
}

# Prints `changed` when the image's own settings, ours over them, differ from what the engine was started with.
configure_engine() {
    mkdir -p /etc/docker
    python3 - /opt/dockeree/daemon.json /etc/docker/daemon.json <<'PYTHON'
import json, os, sys
ours, path = sys.argv[1:]
try:
    with open(path) as file:
        before = json.load(file)
except FileNotFoundError:
    before = {}
with open(ours) as file:
    after = {**before, **json.load(file)}
after.pop("live-restore", None)  # the engine refuses to join a swarm with it
if after != before:
    with open(path + ".new", "w") as file:
        json.dump(after, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(path + ".new", path)
    print("changed")
PYTHON
}

start_engine() {
    if [ "$1" = changed ] && systemctl --quiet is-active docker.service; then
        systemctl restart docker.service || fail "docker.service does not restart: journalctl -u docker"
    fi
    systemctl --quiet enable docker.service
    systemctl start docker.service || fail "docker.service does not start: journalctl -u docker"
    for _ in $(seq "$ENGINE_SECONDS"); do
        if docker version >/dev/null 2>&1; then return 0; fi
        sleep 1
    done
    fail "the engine does not answer within $ENGINE_SECONDS s: journalctl -u docker"
}

changed=$(configure_engine)
install_packages
hold_packages
start_engine "$changed"
say "the engine answers: $(docker version --format '{{.Server.Version}}')"
