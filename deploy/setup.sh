#!/bin/sh
# Set up a virtual environment in $1 with this project, and the Debian packages it needs where we
# may install them. Says what it does and what it leaves out.
set -eu
venv=$1
say() { printf 'setup: %s\n' "$*"; }

apt_install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing Debian packages: $*"
        DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null &&
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >/dev/null
    else
        return 1
    fi
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || apt_install python3 python3-venv ||
    { say "no $python and no right to install it: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { say "Python 3.11 or newer is needed, $python is $("$python" --version)"; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv ||
    { say "Python's venv is missing: apt-get install python3-venv"; exit 1; }

[ -x "$venv/bin/python" ] || { say "virtual environment in $venv"; "$python" -m venv "$venv"; }
say "installing the package and what it needs (some minutes the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]' 2>&1 |
    grep -v '^WARNING: Location' || true
"$venv/bin/python" -c 'import numba, h5py, zmq, boto3, pytest' ||
    { say "the installation failed; run: $venv/bin/pip install -e .[dev]"; exit 1; }
say "ready"
