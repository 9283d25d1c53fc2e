# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts for tools that read CPUID: which profile such a tool expects of the processor below, and how to
# show the tool another processor.

# profile_of FAMILY MODEL (decimal or 0x): the profile; fails if no such tool knows the processor as an SNP part.
profile_of() {
    local family first last profile
    while read -r family first last profile; do
        (($1 == family && $2 >= first && $2 <= last)) && echo "$profile" && return 0
    done <<'END'
0x19 0x00 0x0f milan
0x19 0x10 0x1f genoa
0x19 0xa0 0xaf genoa
0x1a 0x00 0x1f turin
END
    return 1
}

# Prints family and model of the processor below; fails if it is not one of AMD.
processor_below() {
    awk -F': *' '/^vendor_id/ { amd = $2 == "AuthenticAMD" } /^cpu family/ { family = $2 } /^model\t/ { model = $2 }
        /^$/ { exit } END { print family, model; exit !amd }' /proc/cpuinfo
}

# as_processor FAMILY MODEL COMMAND...: runs a command that finds this processor in CPUID. Fails with 77 where the
# processor below or its kernel cannot make CPUID fault.
as_processor() {
    local family=$1 model=$2
    shift 2
    CPUID_FAMILY=$family CPUID_MODEL=$model LD_PRELOAD=${CPUID_PRELOAD:-none} "$@"
}
