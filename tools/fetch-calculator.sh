#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-calculator.sh OUT: installs sev-snp-measure, a public calculator of launch digests, from
# PyPI into an environment of its own, OUT/sev-snp-measure-VERSION. Done before: nothing happens.
# Without the network nothing is installed, and what needs it is left out.
set -eu
version=0.0.13
venv=$1/sev-snp-measure-$version
[ -x "$venv/bin/sev-snp-measure" ] && exit 0
python3 -m venv "$venv" >/dev/null 2>&1 &&
    "$venv/bin/pip" install -q "sev-snp-measure==$version" >/dev/null 2>&1 ||
    echo "fetch-calculator: no sev-snp-measure $version (python3-venv, PyPI); it is left out" >&2
