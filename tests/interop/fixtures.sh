#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cases of `softsev fixtures`, judged by snpguest, the sev crate and go-sev-guest: each must say what the manifest says,
# as far as it has a check for it. TAP; 77: none of them can be had.
set -u
. "$(dirname "$0")/tap.bash"
snpguest=$(tool snpguest) || snpguest=-
crate=$(tool sev_crate) || crate=-
go=$(tool go_verifier) || go=-
[ "$snpguest$crate$go" != --- ] || skip_all "neither snpguest nor the sev crate nor go-sev-guest can be had"
"$softsev" fixtures --help >/dev/null 2>&1 || { skip "fixtures" "softsev has none" && finish; }
check "fixtures are made" "$softsev" fixtures --out "$work/fixtures"
verdicts python3 "$here/fixtures.py" "$work/fixtures" "$snpguest" "$crate"
if [ "$go" = - ]; then
    skip "go-sev-guest" "it cannot be had"
else
    verdicts "$go" fixtures "$work/fixtures"
fi
finish
