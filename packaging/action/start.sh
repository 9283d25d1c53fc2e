#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# start.sh: makes a platform for a CI job and starts its key server; what later steps need goes to
# $GITHUB_ENV and $GITHUB_OUTPUT. Inputs: INPUT_PROFILE, INPUT_PORT, INPUT_INJECT, INPUT_STATE.
set -eu
state=${INPUT_STATE:-${RUNNER_TEMP:-/tmp}/softsev}
certs=$state-certs
log=$state-kds.log
mkdir -p "$(dirname "$state")"

softsev platform init --state "$state" --profile "${INPUT_PROFILE:-milan}"
softsev platform certs --state "$state" --out "$certs"
setsid softsev kds --state "$state" --listen "127.0.0.1:${INPUT_PORT:-0}" \
    ${INPUT_INJECT:+--inject "$INPUT_INJECT"} >"$log" 2>&1 </dev/null &
kds=$!
for _ in $(seq 100); do
    url=$(sed -n 's/^listening at //p' "$log")
    [ -z "$url" ] || break
    kill -0 "$kds" 2>/dev/null || break
    sleep 0.1
done
[ -n "$url" ] || {
    echo "softsev kds did not start:" >&2
    cat "$log" >&2
    exit 1
}
printf 'SOFTSEV_STATE=%s\nSOFTSEV_KDS=%s\n' "$state" "$url" >>"${GITHUB_ENV:-/dev/stdout}"
printf 'kds=%s\ncerts=%s\npid=%s\n' "$url" "$certs" "$kds" >>"${GITHUB_OUTPUT:-/dev/stdout}"
