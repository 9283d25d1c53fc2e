#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libvirt's virt-qemu-sev-validate and `softsev owner` must agree on a measurement and on a secret
# packet: the tool is run as it is; for the packet it is loaded as a Python module, so that its IV
# can be ours. TAP; 77: no tool.
set -u
softsev=${SOFTSEV:?the softsev program}
tool=$(command -v virt-qemu-sev-validate) || { echo \
    "1..0 # skip no virt-qemu-sev-validate (libvirt-clients-qemu)"; exit 77; }
python=/usr/bin/python3
$python -c 'import lxml.etree, libvirt, cryptography' 2>/dev/null ||
    { echo "1..0 # skip $tool needs python3-lxml python3-libvirt python3-cryptography"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

number=0 failed=0
check() { # NAME COMMAND...: one TAP line
    number=$((number + 1))
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/#   /' "$work/log"
        failed=1
    fi
}

refuses() { # STATUS COMMAND...
    local want=$1
    shift
    "$@"
    [ $? -eq "$want" ]
}

secret_agrees() { # the packet softsev made, and the one the tool makes with the same IV
    $python - "$tool" "$work" "$1" <<'END'
import base64, importlib.machinery, importlib.util, os, sys
tool, work, measurement = sys.argv[1:]
loader = importlib.machinery.SourceFileLoader("validate", tool)
validate = importlib.util.module_from_spec(importlib.util.spec_from_loader("validate", loader))
loader.exec_module(validate)
ours = [open(f"{work}/s/secret-{part}.b64").read() for part in ("header", "payload")]
iv = base64.b64decode(ours[0])[4:20]
vm = validate.OfflineConfidentialVM(measurement=measurement, api_major=1, api_minor=55, build_id=25, policy=1)
vm.load_firmware(f"{work}/firmware")
vm.load_tk(f"{work}/s/tk.bin")
vm.secrets_table.load_secret("luks-key", f"{work}/passphrase")
os.urandom = lambda count: iv
theirs = vm.build_secrets()
print("ours", ours, "theirs", theirs)
sys.exit(0 if list(theirs) == ours else 1)
END
}

# A platform's root and chain, a session for it, a firmware image, an MNONCE.
"$softsev" platform init --state "$work/state" --seed interop >"$work/log" 2>&1 &&
    "$softsev" platform export --state "$work/state" --out "$work/export" >>"$work/log" 2>&1 &&
    "$softsev" owner session --chain "$work/export/chain" --root "$work/export/root" --policy 1 \
        --out-dir "$work/s" --seed owner >>"$work/log" 2>&1 ||
    { sed 's/^/# /' "$work/log"; echo "not ok 1 - a platform and a session"; exit 1; }
firmware=${OUT:-}/oracles/OVMF.fd
if [ -f "$firmware" ]; then cp "$firmware" "$work/firmware"; else seq 1 100000 |
    head -c 262144 >"$work/firmware"; fi
printf 'fake kernel' >"$work/kernel"
printf 'fake initrd' >"$work/initrd"
printf 'my luks passphrase' >"$work/passphrase" \
    # 18 bytes: the tool pads what is already aligned once more
nonce=$(printf 'sixteen byte nce' | base64)
platform=(--api 1.55 --build 25)
their_platform=(--api-major 1 --api-minor 55 --build-id 25 --policy 1)

expect() { "$softsev" owner measure --state "$work/s/owner.state" "${platform[@]}" \
    --nonce "$nonce" "$@"; }
validate() { "$python" "$tool" --tk "$work/s/tk.bin" "${their_platform[@]}" "$@"; }

plain=$(expect --launch "$work/firmware")
check "it accepts our measurement of a firmware image" validate --firmware "$work/firmware" \
    --measurement "$plain"
other=$(expect --digest 0000000000000000000000000000000000000000000000000000000000000000)
mismatch() { validate "$@" 2>&1 | grep -q 'Measurement does not match'; }
check "it refuses our measurement of something else" mismatch --firmware "$work/firmware" \
    --measurement "$other"
digest=$(sha256sum <"$work/firmware" | cut -d' ' -f1)
check "a digest and the bytes it is of give the same" test "$(expect --digest "$digest")" = "$plain"
tk=$("$softsev" owner measure --tk "$work/s/tk.bin" --policy 1 "${platform[@]}" --nonce "$nonce" \
    --digest "$digest")
check "TEK and TIK instead of the state give the same" test "$tk" = "$plain"

amdsev=${OUT:-}/oracles/OVMF.amdsev.fd
[ -f "$amdsev" ] || amdsev=$work/firmware
if hashes=$(expect --firmware "$amdsev" --kernel-hashes --kernel "$work/kernel" \
    --initrd "$work/initrd" \
    --append "console=ttyS0" 2>"$work/log"); then
    check "it accepts our measurement of firmware, kernel, initrd and command line" validate \
        --firmware "$amdsev" --kernel "$work/kernel" --initrd "$work/initrd" \
            --cmdline "console=ttyS0" \
        --measurement "$hashes"
else
    number=$((number + 1))
    echo "ok $number - measurement with kernel hashes # skip $(tail -n 1 "$work/log")"
fi

# SEV-ES: the tool builds the processors' pages as KVM measured them before Linux 6.10.
es=("$softsev" owner measure --tk "$work/s/tk.bin" --policy 5 "${platform[@]}" --nonce "$nonce" \
    --mode sev-es --firmware "$amdsev"
    --vcpu-type EPYC-Milan --vmm-type qemu-old)
validate_es() { validate "$@" --policy 5 --firmware "$amdsev" --cpu-family 25 --cpu-model 1 \
    --cpu-stepping 1; }
if three=$("${es[@]}" --vcpus 3 2>"$work/log"); then
    check "it accepts our measurement of a SEV-ES guest with three processors" validate_es \
        --num-cpus 3 --measurement "$three"
    check "it refuses that of one with two" mismatch --policy 5 --firmware "$amdsev" \
        --cpu-family 25 --cpu-model 1 \
        --cpu-stepping 1 --num-cpus 2 --measurement "$three"
else
    number=$((number + 1))
    echo "ok $number - measurement of SEV-ES guests # skip $(tail -n 1 "$work/log")"
fi

# The same through the mailbox: LAUNCH_START with the owner's session, UPDATE_DATA over the bytes,
# MEASURE.
launched() { "$softsev" platform measure --state "$work/state" --session "$work/s" --launch "$1"; }
check "it accepts what the firmware measured of a firmware image" validate \
    --firmware "$work/firmware" \
    --measurement "$(launched "$work/firmware")"
if "$softsev" owner explain --firmware "$amdsev" --kernel-hashes --kernel "$work/kernel" \
    --initrd "$work/initrd" \
    --append "console=ttyS0" --dump "$work/hashed" >/dev/null 2>"$work/log"; then
    check "it accepts what the firmware measured with kernel hashes" validate --firmware "$amdsev" \
        --kernel "$work/kernel" --initrd "$work/initrd" --cmdline "console=ttyS0" \
        --measurement "$(launched "$work/hashed")"
else
    number=$((number + 1))
    echo "ok $number - launch with kernel hashes # skip $(tail -n 1 "$work/log")"
fi

# Direct boot: what softsev run launches, written out in order, is to the tool just one more
# firmware image.
guest=(--kernel "${OUT:-}/vmlinuz" --initrd "${OUT:-}/initrd.cpio.gz" --append "console=ttyS0" \
    --memory 256M --owner-secret)
if [ -f "${OUT:-}/vmlinuz" ]; then
    direct=$(expect "${guest[@]}")
    check "the bytes of a direct boot are written out" "$softsev" owner explain "${guest[@]}" \
        --dump "$work/dump"
    check "it accepts our measurement of a direct boot" validate --firmware "$work/dump" \
        --measurement "$direct"
    check "it accepts what the firmware measured of a direct boot" validate \
        --firmware "$work/dump" \
        --measurement "$(launched "$work/dump")"
else
    number=$((number + 1))
    echo "ok $number - measurement of a direct boot # skip no guest kernel in ${OUT:-OUT}"
fi

agree() {
    "$softsev" owner measure --state "$work/s/owner.state" "${platform[@]}" \
        --launch "$work/firmware" --measurement "$1"
}
seal() {
    "$softsev" owner secret --state "$work/s/owner.state" --measurement "$plain" \
        --secret "$work/passphrase" \
        --guid 736869e5-84f0-4973-92ec-06879ce3da0b --out-dir "$work/s"
}
check "no secret before a launch is verified" refuses 4 seal
check "the owner refuses another measurement" refuses 4 agree "$other"
check "the owner accepts this one" agree "$plain"
check "then it seals a secret" seal
check "the tool makes the same packet" secret_agrees "$plain"
echo "1..$number"
exit "$failed"
