#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The certificates of `softsev platform`, verified link by link with python3-cryptography; an owner
# made there is imported.
set -u
cd "$(dirname "$0")"
python=/usr/bin/python3
$python -c 'import cryptography' 2>/dev/null || { echo \
    "ok - platform # SKIP python3-cryptography is missing"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export SOFTSEV_STATE="$folder/state"

"$SOFTSEV" platform init >/dev/null && "$SOFTSEV" platform export --out "$folder/self" ||
    { echo "not ok - init, export"; exit 1; }
$python platform_chain.py verify "$folder/self"
"$SOFTSEV" platform pek-csr --out "$folder/csr" || echo "not ok - pek-csr"
$python platform_chain.py own "$folder/csr" "$folder/pek" "$folder/oca"
if "$SOFTSEV" platform cert-import --pek "$folder/pek" --oca "$folder/oca" |
    grep -q 'owner *external'; then
    echo "ok - an owner's certificates are imported"
else
    echo "not ok - an owner's certificates are imported"
fi
"$SOFTSEV" platform export --out "$folder/owned" || echo "not ok - export"
$python platform_chain.py verify "$folder/owned"
cmp -s "$folder/oca" "$folder/owned/oca.cert" && echo "ok - the OCA is the owner's" ||
    echo "not ok - the OCA is the owner's"
