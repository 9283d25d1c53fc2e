#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# python.sh BUILD: the Python package as a wheel, installed into a virtual environment: its doc
# strings, the fixtures' verdicts, and its types. TAP.
set -u
build=$(realpath "$1")
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/tap.bash"

"$top/tools/wheel.sh" "$build" "$work" >"$work/log" 2>&1
status=$?
if [ $status -eq 77 ]; then
    skip "a Python package" "$(tail -n 1 "$work/log")"
    finish
fi
verdict "the wheel is built" $status || finish
python3 -m venv "$work/venv" >"$work/log" 2>&1 &&
    "$work/venv/bin/pip" install -q "$work"/wheel/*.whl >>"$work/log" 2>&1
verdict "it installs into a virtual environment" $? || finish
cd "$work" || exit 1
cat >"$work/doc.py" <<'END'
import doctest
import sys

import softsev

result = doctest.testmod(softsev, extraglobs={"softsev": softsev})
print(result)
sys.exit(result.failed or result.attempted < 10)
END
"$work/venv/bin/python" "$work/doc.py" >"$work/log" 2>&1
verdict "what its doc strings show is true" $?
"$build/softsev" fixtures --out "$work/fixtures" --profile milan >"$work/log" 2>&1 &&
    "$work/venv/bin/python" "$top/tests/slow/python_fixtures.py" "$work/fixtures" >"$work/log" 2>&1
verdict "verify() agrees with the fixtures' manifest" $?
if "$work/venv/bin/pip" install -q mypy >/dev/null 2>&1; then
    "$work/venv/bin/mypy" --strict "$top/python/softsev/__init__.py" --ignore-missing-imports \
        >"$work/log" 2>&1
    verdict "its types are complete (mypy --strict)" $?
fi
finish
