#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER [MESON OPTIONS]: configures once, builds, and is quiet unless something is wrong.
set -eu
folder=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
fi
echo "building in $folder ..."
ninja -C "$folder" >"$log" 2>&1 || { grep -v '^\[' "$log" | tail -n 60; exit 1; }
