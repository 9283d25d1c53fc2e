# SPDX-License-Identifier: Apache-2.0
# Sourced by tests that are scripts: TAP lines and a work folder, $work. A test ends with finish,
# whose status says whether all was well.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failed=0

result() { # NAME STATUS LOG: one line
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        head -n 40 <<<"$3" | sed 's/^/#   /'
        failed=1
    fi
}

verdict() { # NAME STATUS: the same, of a command that has written $work/log; its status
    result "$1" "$2" "$(tail -n 40 "$work/log" 2>/dev/null)"
    return "$2"
}

skip() { # NAME WHY
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

skip_all() { # WHY: nothing can be tested here
    echo "1..0 # SKIP $1"
    exit 77
}

finish() {
    echo "1..$number"
    exit "$failed"
}
