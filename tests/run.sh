#!/usr/bin/env bash
# Runs all tests, those against real servers too: tests/run.sh [arguments for cargo test]
#
# Azurite (storage) and oidc-provider (logins) need node 18 or newer and npm; nginx (a limiter) and redis-server (a store
# of shared limits) are taken where they are, or installed by apt-get as root.
# With LONGHAUL_LONG=1 in the environment, pygeoapi (OGC API Processes) and moto (AWS) too: they need python3 3.11 or newer
# with venv, and PyPI.
# The tests whose server cannot be had are skipped; with CI=true in the environment that is a failure
# instead.
set -euo pipefail
exec </dev/null
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

servers=tests/servers
folder=
azurite=
obstacle=
nginx=
redis=
unset LONGHAUL_AZURITE_URL LONGHAUL_NGINX LONGHAUL_REDIS LONGHAUL_OIDC_NODE LONGHAUL_PYTHON

say() {
    printf 'run.sh: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

clean_up() {
    if [ -n "$azurite" ]; then
        # No need to ask it first: nothing that it holds is kept.
        kill -KILL "$azurite" 2>/dev/null || true
        wait "$azurite" 2>/dev/null || true
    fi
    if [ -n "$folder" ]; then
        rm -rf -- "$folder"
    fi
}

install_servers() {
    # npm writes this file last: where it is missing, an install broke off.
    if [ "$servers/node_modules/.package-lock.json" -nt "$servers/package-lock.json" ]; then
        say "Azurite and oidc-provider are installed in $servers"
        return
    fi
    say "installing Azurite and oidc-provider in $servers"
    if ! (cd "$servers" && npm ci --no-audit --no-fund) >"$folder/npm.log" 2>&1; then
        cat "$folder/npm.log" >&2
        return 1
    fi
}

start_azurite() {
    local key port="" tries=300 log=$folder/azurite.log
    say "starting Azurite"
    key=$(head -c 64 /dev/urandom | base64 | tr -d '\n')
    # Port 0 is any free port; Azurite says which one it got, once it listens.
    AZURITE_ACCOUNTS=longhaul:$key "$servers/node_modules/.bin/azurite-blob" \
        --blobHost 127.0.0.1 --blobPort 0 --location "$folder/blobs" \
        --skipApiVersionCheck --disableTelemetry --silent >"$log" 2>&1 &
    azurite=$!
    until [ -n "$port" ] && (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        if [ "$tries" -eq 0 ] || ! kill -0 "$azurite" 2>/dev/null; then
            cat "$log" >&2
            fail "Azurite did not come up: its log is above"
        fi
        tries=$((tries - 1))
        sleep 0.1
        port=$(sed -n 's|.*listens on http://127\.0\.0\.1:\([0-9]*\).*|\1|p' "$log")
    done
    say "Azurite listens on port $port"
    export LONGHAUL_AZURITE_URL=http://127.0.0.1:$port/longhaul
    export LONGHAUL_AZURITE_ACCOUNT=longhaul
    export LONGHAUL_AZURITE_KEY=$key
}

# Sets `nginx` to where it is, if it can be had.
find_nginx() {
    nginx=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx || true)
    if [ -n "$nginx" ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return
    fi
    say "installing nginx"
    # Only the program: it is started by the tests, with settings of their own.
    if ! { apt-get update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends nginx-light; } >"$folder/apt.log" 2>&1; then
        cat "$folder/apt.log" >&2
        return
    fi
    nginx=$(PATH=$PATH:/usr/sbin command -v nginx || true)
}

# Sets `obstacle` where the servers of python cannot be had.
install_python_servers() {
    local venv=$servers/venv
    obstacle=
    if ! command -v python3 >/dev/null; then
        obstacle="python3 was not found"
    elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        obstacle="python3 is older than 3.11"
    elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        obstacle="python3 has no venv"
    elif [ "$venv/installed" -nt "$servers/requirements.txt" ]; then
        # This file is written last: where it is missing, an install broke off.
        say "pygeoapi and moto are installed in $venv"
    else
        say "installing pygeoapi and moto in $venv"
        if ! { python3 -m venv --clear "$venv" && "$venv/bin/python" -m pip install --disable-pip-version-check \
                --only-binary :all: --requirement "$servers/requirements.txt" && touch "$venv/installed"; } >"$folder/pip.log" 2>&1; then
            tail -n 20 "$folder/pip.log" >&2
            obstacle="pip could not install pygeoapi and moto"
        fi
    fi
}

# Sets `redis` to where the server is, if it can be had.
find_redis() {
    redis=$(command -v redis-server || true)
    if [ -n "$redis" ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return
    fi
    say "installing redis-server"
    # Only the program: it is started by the tests, each on a free port.
    if ! { apt-get update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends redis-server; } >"$folder/apt.log" 2>&1; then
        cat "$folder/apt.log" >&2
        return
    fi
    redis=$(command -v redis-server || true)
}

trap clean_up EXIT

command -v cargo >/dev/null || fail "cargo was not found: see https://rustup.rs"
folder=$(mktemp -d)

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    obstacle="node or npm was not found"
elif ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; then
    obstacle="node is older than 18"
elif ! install_servers; then
    obstacle="npm could not install Azurite and oidc-provider"
fi

if [ -z "$obstacle" ]; then
    start_azurite
    # The tests start the other by themselves.
    LONGHAUL_OIDC_NODE=$(command -v node)
    export LONGHAUL_OIDC_NODE
elif [ "${CI:-}" = true ]; then
    fail "$obstacle, and in CI no test is skipped"
else
    say "$obstacle: skipping the tests in tests/real/azurite.rs and tests/real/oidc.rs"
fi

find_nginx
if [ -n "$nginx" ]; then
    say "nginx is $nginx"
    export LONGHAUL_NGINX=$nginx
elif [ "${CI:-}" = true ]; then
    fail "nginx was not found and could not be installed, and in CI no test is skipped"
else
    say "nginx was not found, and is installed only by apt-get as root: skipping the tests in tests/real/nginx.rs"
fi

if [ "${LONGHAUL_LONG:-}" = 1 ]; then
    install_python_servers
    if [ -z "$obstacle" ]; then
        # The tests start them by themselves.
        LONGHAUL_PYTHON=$PWD/$servers/venv/bin/python
        export LONGHAUL_PYTHON
    elif [ "${CI:-}" = true ]; then
        fail "$obstacle, and in CI no test is skipped"
    else
        say "$obstacle: skipping the tests in tests/real/processes.rs and tests/real/aws.rs"
    fi
else
    say "LONGHAUL_LONG is not 1: skipping the tests in tests/real/processes.rs and tests/real/aws.rs"
fi

find_redis
if [ -n "$redis" ]; then
    say "redis-server is $redis"
    export LONGHAUL_REDIS=$redis
elif [ "${CI:-}" = true ]; then
    fail "redis-server was not found and could not be installed, and in CI no test is skipped"
else
    say "redis-server was not found, and is installed only by apt-get as root: skipping the tests of a server"
fi

# Many tests wait for real time to pass: more of them than there are processors run side by side.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

say "cargo test --locked $*"
cargo test --locked "$@"
