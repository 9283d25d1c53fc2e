#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our devices beside those of QEMU's PC: the same register accesses, the same answers.
set -eu
cd "$(dirname "$0")/../.."
player="$(dirname "$SOFTSEV")/tests/interop/device_qtest"
[ -x "$player" ] || exit 77
python3 tests/interop/devices.py "$player" "${SEED:-1}"
