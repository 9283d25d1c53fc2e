#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cases of `softsev fixtures`, judged by snpguest, the sev crate, go-sev-guest and (the legacy
# ones) a verifier over python3-cryptography: each must say what the manifest says, as far as it
# has a check for it. TAP; 77: none can be had.
set -u
. "$(dirname "$0")/tap.bash"
snpguest=$(tool snpguest) || snpguest=-
crate=$(tool sev_crate) || crate=-
go=$(tool go_verifier) || go=-
python=/usr/bin/python3
$python -c 'import cryptography' 2>/dev/null || python=-
[ "$snpguest$crate$go$python" != ---- ] || skip_all \
    "neither snpguest nor the sev crate, go-sev-guest or python3-cryptography can be had"
"$softsev" fixtures --help >/dev/null 2>&1 || { skip "fixtures" "softsev has none" && finish; }
check "fixtures are made" "$softsev" fixtures --out "$work/fixtures"
verdicts python3 "$here/fixtures.py" "$work/fixtures" "$snpguest" "$crate"
if [ "$python" = - ]; then
    skip "python3-cryptography" "it is missing"
else
    verdicts "$python" "$here/fixtures_legacy.py" "$work/fixtures"
fi
if [ "$go" = - ]; then
    skip "go-sev-guest" "it cannot be had"
else
    verdicts "$go" fixtures "$work/fixtures"
fi
finish
