# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of this folder: what ../tap.bash has, and tools of Rust. $softsev, $out and $work are set after it.
softsev=${SOFTSEV:?the softsev program}
out=${OUT:?a folder for what is fetched}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../tap.bash
. "$here/../tap.bash"

check() { # NAME COMMAND...: succeeds
    local name=$1 log
    shift
    log=$("$@" 2>&1)
    result "$name" $? "$log"
}

refuses() { # NAME WORDS COMMAND...: fails, and says WORDS (an extended regular expression)
    local name=$1 words=$2 log status
    shift 2
    log=$("$@" 2>&1)
    status=$?
    [ "$status" -ne 0 ] && grep -qE "$words" <<<"$log"
    result "$name" $? "exit code $status, should say '$words':
$log"
}

says() { # NAME WORDS COMMAND...: succeeds, and says WORDS
    local name=$1 words=$2 log status
    shift 2
    log=$("$@" 2>&1)
    status=$?
    [ "$status" -eq 0 ] && grep -qE "$words" <<<"$log"
    result "$name" $? "exit code $status, should say '$words':
$log"
}

equal() { # NAME OURS THEIRS
    [ -n "$2" ] && [ "$2" = "$3" ]
    result "$1" $? "ours   $2
theirs $3"
}

tool() { # NAME: its path, as tools/fetch-oracles.sh has built it; skips the script if that could not be
    local path=$out/oracles/bin/$1
    [ -x "$path" ] || return 1
    echo "$path"
}

verdicts() { # COMMAND...: prints TAP lines of its own, without numbers
    local line
    while IFS= read -r line; do
        case $line in
        "ok - "*) number=$((number + 1)) && echo "ok $number - ${line#ok - }" ;;
        "not ok - "*) number=$((number + 1)) failed=1 && echo "not ok $number - ${line#not ok - }" ;;
        " exit code "*) result "$(basename "$1") ends well" 1 "$line" ;;
        *) echo "#$line" ;;
        esac
    done < <(timeout 300 "$@" 2>&1 || echo " exit code $?")
}

key_server() { # OPTIONS...: starts softsev kds; its address in $url, its number in $server, what it says in $work/kds
    "$softsev" kds --listen 127.0.0.1:0 "$@" >"$work/kds" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        url=$(grep -oE 'https?://127.0.0.1:[0-9]+' "$work/kds" | head -n 1)
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    url=http://127.0.0.1:1 # where nobody answers
}
