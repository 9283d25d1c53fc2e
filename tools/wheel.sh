#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# wheel.sh BUILD OUT: builds the Python package as OUT/wheel/softsev-*.whl, with the library of a
# build folder inside. 77: Python lacks what builds wheels.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
mkdir -p "$2/wheel"
out=$(cd "$2" && pwd)/wheel
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
DESTDIR=$stage "$top/tools/install.py" install "$build" >/dev/null
PKG_CONFIG_SYSROOT_DIR=$stage
PKG_CONFIG_PATH=$(dirname "$(find "$stage" -name softsev.pc)")
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH SOFTSEV_STATIC=1
python3 -m venv "$stage/venv" || exit 77
"$stage/venv/bin/pip" install -q build setuptools wheel cffi || {
    echo "pip cannot install build, setuptools, wheel and cffi" >&2
    exit 77
}
cp -r "$top/python" "$stage/python"
cd "$stage/python"
"$stage/venv/bin/python" -m build --wheel --no-isolation --outdir "$out" . >"$stage/log" 2>&1 || {
    tail -n 60 "$stage/log" >&2
    exit 1
}
ls "$out"
