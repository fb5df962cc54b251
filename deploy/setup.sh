#!/bin/sh
# setup.sh VENV [test]: set up a virtual environment with this project, and the Debian packages it
# needs where we may install them. With "test" also the servers that the tests start for real; the
# tests that need one are skipped, with a reason, where it is not there. Says what it leaves out.
set -eu
venv=$1
purpose=${2:-use}
say() { printf 'setup: %s\n' "$*"; }

# One package a line, with why.
test_packages() {
    cat <<END
mariadb-server   the run catalog's database in production
libmariadb-dev   mysqlclient is built against it
pkg-config       finds it
gcc              builds it
oidc-agent-cli   gives the stager tokens
chromium         logs in at an OpenID provider
END
}

apt_install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing Debian packages: $*"
        apt="apt-get -o DPkg::Lock::Timeout=300 -q"
        DEBIAN_FRONTEND=noninteractive $apt update >/dev/null &&
            DEBIAN_FRONTEND=noninteractive $apt -y --no-install-recommends install "$@" >/dev/null
    else
        return 1
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || apt_install python3 python3-venv ||
    { say "no $python and no right to install it: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { say "Python 3.11 or newer is needed, $python is $("$python" --version)"; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv ||
    { say "Python's venv is missing: apt-get install python3-venv"; exit 1; }

if [ "$purpose" = test ]; then
    missing=
    for package in $(test_packages | cut -d ' ' -f 1); do
        is_installed "$package" || missing="$missing $package"
    done
    # Debian's own Python has its headers in another package.
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        missing="$missing python3-dev"
    # Where a newer Node.js is there, it has npm with it, and Debian's would clash.
    command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || apt_install $missing ||
        say "not installed, the tests that need them will be skipped:$missing"
fi

extras=dev
[ "$purpose" = test ] && extras=dev,test
# mysqlclient has no wheel for Linux: it is left out where it cannot be built.
if [ "$purpose" = test ] && pkg-config --exists libmariadb 2>/dev/null; then
    extras=$extras,mariadb
fi
[ -x "$venv/bin/python" ] || { say "virtual environment in $venv"; "$python" -m venv "$venv"; }
say "installing the package and what it needs (some minutes the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]" 2>&1 |
    grep -v '^WARNING: Location' || true
"$venv/bin/python" -c 'import numba, h5py, zmq, boto3, pytest' ||
    { say "the installation failed; run: $venv/bin/pip install -e .[$extras]"; exit 1; }
if [ "$purpose" = test ] && command -v npm >/dev/null 2>&1; then
    say "an OpenID provider for the tests"
    # Node.js trusts the authorities it came with alone; a site's own are in Debian's bundle.
    bundle=/etc/ssl/certs/ca-certificates.crt
    [ -n "${NODE_EXTRA_CA_CERTS:-}" ] || [ ! -r $bundle ] || export NODE_EXTRA_CA_CERTS=$bundle
    npm install --prefix tests/stager/oidc_provider --silent --no-audit --no-fund \
        --fetch-retries 1 >/dev/null ||
        say "npm could not install it: the test that needs it will be skipped"
fi
say "ready"
