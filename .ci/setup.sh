#!/bin/sh
# Make the virtual environment and install what the project needs. Called by make; safe to run again.
set -eu

PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"

say() { printf '%s\n' "$*" >&2; }

# System packages: the command that is missing, and the Debian package that brings it. None is needed to run the program;
# libzbar0 adds a second QR reader, dbus and openssl are for the tests.
missing=""
ldconfig -p 2>/dev/null | grep -q 'libzbar\.so\.0' || missing="$missing libzbar0"
command -v dbus-daemon >/dev/null 2>&1 || missing="$missing dbus"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"

if [ -n "$missing" ]; then
    if command -v apt-get >/dev/null 2>&1; then
        as_root=""
        if [ "$(id -u)" != 0 ]; then
            if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root="no"; fi
        fi
        # shellcheck disable=SC2086
        if [ "$as_root" = no ] || ! { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq $missing; } >/dev/null 2>&1; then
            say "note: these system packages are missing and could not be installed:$missing"
            say "      install them with: sudo apt-get install$missing"
        fi
    else
        say "note: these are missing (names as in Debian):$missing"
    fi
fi

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "error: $PYTHON is missing or older than 3.11"
    say "hint: name a newer one: make PYTHON=/path/to/python3.11"
    exit 2
fi
if [ ! -x "$VENV/bin/python" ] && ! "$PYTHON" -m venv "$VENV"; then
    say "error: $PYTHON cannot make a virtual environment"
    say "hint: sudo apt-get install python3-venv"
    exit 2
fi
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
