#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# link_library.sh OUT.O RENAMED.TXT ARCHIVE... -- ARCHIVE...: links rooms into one object. The
# rooms before `--` are whole, the others give what those need. The symbols of RENAMED.TXT get
# their public names; all others become local.
set -eu
out=$1 renamed=$2
shift 2
whole=""
while [ "$1" != -- ]; do
    whole="$whole $1"
    shift
done
shift
# shellcheck disable=SC2086
ld -r -o "$out" --whole-archive $whole --no-whole-archive --start-group "$@" --end-group
public=$(mktemp)
trap 'rm -f "$public"' EXIT
cut -d' ' -f2 "$renamed" >"$public"
objcopy --redefine-syms="$renamed" "$out"
objcopy --keep-global-symbols="$public" "$out"
