#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# action.sh BUILD: what packaging/action does in a CI job, and the unit of the key server as systemd
# reads it. TAP.
set -u
build=$(realpath "$1")
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/tap.bash"
kds=
trap '[ -z "$kds" ] || kill "$kds"; rm -rf "$work"' EXIT

export PATH=$build:$PATH RUNNER_TEMP=$work GITHUB_ENV=$work/env GITHUB_OUTPUT=$work/output
INPUT_PROFILE=milan INPUT_INJECT=404:2 "$top/packaging/action/start.sh" >"$work/log" 2>&1
verdict "the action's script makes a platform and starts its key server" $?
kds=$(sed -n 's/^pid=//p' "$work/output")
url=$(sed -n 's/^kds=//p' "$work/output")
certs=$(sed -n 's/^certs=//p' "$work/output")
# every second request is answered with 404, as the fault says
codes=$(for _ in 1 2 3 4; do
    curl -s -o "$work/chain" -w '%{http_code} ' "$url/vcek/v1/Milan/cert_chain"
done)
echo "codes: $codes" >"$work/log"
[ "$codes" = "200 404 200 404 " ]
verdict "a job's requests meet the server and its fault" $?
[ -s "$certs/ark.pem" ] && grep -q "^SOFTSEV_STATE=$work" "$work/env" &&
    grep -q "^SOFTSEV_KDS=$url$" "$work/env"
verdict "later steps find certificates, platform and server" $?
env "$(grep ^SOFTSEV_STATE= "$work/env")" softsev with -- test -c /dev/sev >"$work/log" 2>&1
verdict "a program of a later step finds /dev/sev" $?
INPUT_PROFILE=none "$top/packaging/action/start.sh" >"$work/log" 2>&1
[ $? -ne 0 ] && grep -q "none" "$work/log"
verdict "a profile that is none ends the step" $?
INPUT_INJECT=nothing INPUT_STATE=$work/other "$top/packaging/action/start.sh" >"$work/log" 2>&1
[ $? -ne 0 ] && grep -q "did not start" "$work/log"
verdict "a fault that is none ends the step" $?
if command -v systemd-analyze >/dev/null; then
    sed "s#/usr/bin/softsev#$build/softsev#" "$top/packaging/systemd/softsev-kds.service" \
        >"$work/softsev-kds.service"
    systemd-analyze verify --man=no "$work/softsev-kds.service" >"$work/log" 2>&1 &&
        [ ! -s "$work/log" ]
    verdict "systemd reads the unit without a complaint" $?
    systemd-analyze security --offline=true --threshold=20 "$work/softsev-kds.service" \
        >"$work/log" 2>&1
    verdict "its exposure is at most 2.0 of 10" $?
fi
finish
