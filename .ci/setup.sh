#!/bin/sh
# Make the environments and install what the project needs. Called by make; safe to run again.
#   setup.sh run    what the program, the demo and the checks need
#   setup.sh test   also what the tests and benchmarks need: servers, and other implementations as judges
set -eu

WHAT="${1:-run}"
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"
PEERS=".venv-peers"

say() { printf '%s\n' "$*" >&2; }

has() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1; }

has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q "$1"; }

# What is missing, by the name of the Debian package that brings it.
missing_packages() {
    # The program works without libzbar0; with it there is a second reader of QR codes.
    has_library 'libzbar\.so\.0' || printf ' libzbar0'
    [ "$WHAT" = test ] || return 0
    has dbus-daemon || printf ' dbus'
    has mosquitto || printf ' mosquitto'
    has openssl || printf ' openssl'
    has ser2net || printf ' ser2net'
    has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || printf ' postgresql'
    has softhsm2-util || printf ' softhsm2'
    return 0
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_packages() {
    missing="$(missing_packages)"
    [ -n "$missing" ] || return 0
    command="sudo apt-get install$missing"
    if ! has apt-get; then
        say "note: these are missing (names as in Debian):$missing"
    elif [ "$(id -u)" != 0 ] && ! { has sudo && sudo -n true 2>/dev/null; }; then
        say "note: these system packages are missing:$missing"
        say "      install them with: $command"
    else
        say "installing system packages:$missing"
        # shellcheck disable=SC2086
        { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends $missing; } >/dev/null 2>&1 || say "note: that failed; try: $command"
    fi
}

check_python() {
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        say "error: $PYTHON is missing or older than 3.11"
        say "hint: name a newer one: make PYTHON=/path/to/python3.11"
        exit 2
    fi
}

make_environment() {
    if [ ! -x "$1/bin/python" ] && ! "$PYTHON" -m venv "$1"; then
        say "error: $PYTHON cannot make a virtual environment"
        say "hint: sudo apt-get install python3-venv"
        exit 2
    fi
}

pip_install() {
    environment="$1"
    shift
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

check_python
install_packages
make_environment "$VENV"
if [ "$WHAT" = test ]; then
    # The judges do not share an environment with us: their dependencies and top-level names are their own.
    make_environment "$PEERS"
    "$VENV/bin/python" -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["peers"]))' >"$PEERS/requirements.txt"
    pip_install "$PEERS" --requirement "$PEERS/requirements.txt"
else
    pip_install "$VENV" --editable '.[test,check]'
fi
