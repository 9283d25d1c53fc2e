#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SNP guests from outside: a stock kernel, one that asks for a report which its owner then accepts,
all modes on one machine."""
import base64
import json
import os
import re
import struct

from story import Skip, console, occurs, quick, slow, steps, summary, tell, want

MARKER = "marker=the-command-line-is-private-too"
PRIVATE = [b"Memory Encryption Features active", b"software IO TLB: Memory encryption is active",
           b"BusyBox v1.",
           b"guest: no secret from an owner", MARKER.encode()]
GUIDS = {"ark": "c0b406a4a803495297433fb6014cd0ae", "ask": "4ab7b379bbac4fe4a02f05aef327c782",
         "vcek": "63da758de6644564adc5f4b93be8accd"}
STEPS = ("GCTX_CREATE", "LAUNCH_START", "ACTIVATE", "LAUNCH_UPDATE", "LAUNCH_FINISH")


def a_stock_kernel_boots_with_sev_snp_active(s):
    dram = s.path("dram")
    code, events, error = s.linux("sev-snp", "--virtio-console", "--dump", dram, append=MARKER)
    want(code == 0, error)
    text = console(events)
    want("Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP" in text,
         "the guest does not see SNP")
    launch = steps(events, "hypervisor")
    want([launch.find(step) for step in STEPS] == sorted(launch.find(step) for step in STEPS)
         and STEPS[0] in launch, launch)
    want("a report of version" in steps(events, "firmware"), steps(events, "firmware"))
    want("computed from the files alone: equal" in steps(events, "owner"), steps(events, "owner"))
    private, written, shared = (e["text"] for e in events if e["event"] == "step"
                                and e["who"] == "host")
    want("refused" in written, written)
    want("(private)" in private and "636f6e73" not in private, private)
    want("guest: hello on" in shared, "the host does not read a shared page")
    vm = summary(events)["vms"][0]
    want(vm["state"] == "powered off" and re.fullmatch("[0-9a-f]{96}", vm["measurement"]), vm)
    pages = vm["pages"]
    want(pages["vmsa"] == 1 and pages["private"] > 100000
         and pages["private"] + pages["shared"] == (512 << 20) // 4096, pages)
    want(pages["to_shared"] > 512 and pages["to_private"] > 0, pages)
    want(all(vm["exits"][kind] == 0 for kind in ("io", "msr", "cpuid")), vm)
    want(all(vm["vmgexits"][kind] > 0 for kind in ("msr_protocol", "cpuid", "io", "mmio", "msr",
                                                   "page_state")), vm)
    want(vm["exits"]["vmgexit"] == sum(vm["vmgexits"].values()) and vm["vmgexits"]["refused"] == 0,
         vm)
    want(summary(events)["vc"]["cpuid"] > vm["vmgexits"]["cpuid"], "the CPUID page is not used")
    want(occurs(dram, *PRIVATE) == [], f"readable in DRAM: {occurs(dram, *PRIVATE)}")
    os.unlink(dram)


def certificates(table):
    """The table of an extended report: {GUID: object}."""
    found, at = {}, 0
    while table[at:at + 16] != bytes(16):
        offset, size = struct.unpack_from("<II", table, at + 16)
        found[table[at:at + 16].hex()] = table[offset:offset + size]
        at += 24
    return found


@slow
def a_newer_kernel_asks_for_a_report_that_its_owner_accepts(s):
    """The kernel's own sev-guest driver and configfs; certificates come with the report, the root
    from the owner's memory."""
    kernel, initrd = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz"
    if not os.path.exists(kernel):
        raise Skip("no Linux 6.12")
    files = ["--kernel", kernel, "--initrd", initrd, "--append",
             "console=ttyS0 panic=-1 cryptomgr.notests", "--memory", "512"]
    code, out, error = s.command("owner", "measure", "--mode", "snp", *files)
    want(code == 0, error)
    expected = out.decode().strip()
    code, events, error = s.run(*files, "--mode", "sev-snp")
    want(code == 0, error)
    text = console(events)
    want("Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP" in text,
         "the guest does not see SNP")
    want("Initialized SEV guest driver" in text, "the driver did not load")
    vm = summary(events)["vms"][0]
    want(vm["vmgexits"]["guest_request"] >= 1, vm)
    report = base64.b64decode(re.search(r"guest: report over 'softsev': (\S+)", text)[1])
    given = certificates(base64.b64decode(re.search(r"guest: certificates: (\S+)", text)[1]))
    want(len(report) == 1184 and report[0x90:0xc0].hex() == expected == vm["measurement"],
         "the report is of another launch")
    want(len(given) == 3, given.keys())
    ark, ask, vcek = (s.write(f"{name}.der", given[guid]) for name, guid in GUIDS.items())
    arguments = ["owner", "verify", "--report", s.write("report", report), "--certs",
                 f"{ask},{vcek}", "--report-data",
                 b"softsev".ljust(64).hex(), "--digest", expected]
    code, out, error = s.command(*arguments, "--root", ark)
    want(code == 0, error)
    code, _, error = s.command(*arguments, "--root", vcek)
    want(code == 4, "any root will do")
    broken = bytearray(report)
    broken[0x90] ^= 1
    arguments[3] = s.write("broken", bytes(broken))
    code, _, error = s.command(*arguments, "--root", ark)
    want(code == 4 and "signature" in error, (code, error))


@slow
def a_kernel_with_secure_tsc_uses_it(s):
    """Linux 6.14 or later asks the firmware for scale and offset, and reads the frequency without
    an exit."""
    kernel, initrd = f"{s.out}/vmlinuz-secure-tsc", f"{s.out}/initrd-secure-tsc.cpio.gz"
    if not os.path.exists(kernel):
        raise Skip("no kernel that knows secure TSC: tools/fetch-guest.sh OUT secure-tsc")
    files = ["--kernel", kernel, "--initrd", initrd, "--append",
             "console=ttyS0 panic=-1 cryptomgr.notests", "--memory", "512"]
    features = ["--guest-features", "secure-tsc,debug-swap"]
    code, out, error = s.command("owner", "measure", "--mode", "snp", *files, *features, "--vcpus",
                                 "2")
    want(code == 0, error)
    code, events, error = s.run(*files, *features, "--mode", "sev-snp", "--cpus", "2",
                                "--tsc-frequency", "2500000")
    want(code == 0, error)
    text = console(events)
    want(re.search(r"SEV: Status: SEV SEV-ES SEV-SNP DebugSwap SecureTSC", text),
         "the guest does not see secure TSC")
    want("tsc: Detected 2500.000 MHz processor" in text, "the frequency is another")
    want("guest: processors: 2" in text, "one processor")
    vm = summary(events)["vms"][0]
    want(vm["measurement"] == out.decode().strip(), "the owner measures something else")


@slow
def a_kernel_that_does_not_know_secure_tsc_says_so(s):
    if not os.path.exists(f"{s.out}/vmlinuz-6.12"):
        raise Skip("no Linux 6.12")
    code, _, error = s.run("--kernel", f"{s.out}/vmlinuz-6.12", "--append", "console=ttyS0",
                           "--mode", "sev-snp", "--guest-features", "secure-tsc")
    want(code == 9
            and "does not know the SNP features that are on (set 0, reason 2, raw 0x800)" in error,
         (code, error))


VTOM_GUEST = """
.globl _start
_start:
    mov $0xc0010131, %ecx           # SEV_STATUS: vTOM
    rdmsr
    mov $1, %edi
    test $8, %eax
    jz end
    mov $2, %edi                    # private memory without a C-bit
    movl $0x1234567, 0x300000
    cmpl $0x1234567, 0x300000
    jne end
    mov $3, %edi                    # VIRTUAL_TOM is the end of RAM, and its read does not exit
    mov $0xc0010135, %ecx
    rdmsr
    cmp $0x4000000, %eax
    jne end
    mov $0x2a, %edi
end:
    shl $16, %edi                   # a request to terminate, by the GHCB MSR: set 1, the reason
    lea 0x1100(%rdi), %eax
    xor %edx, %edx
    mov $0xc0010130, %ecx
    wrmsr
    rep
    .byte 0x0f, 0x01, 0xd9
"""


@quick
def a_guest_with_vtom_has_private_memory_without_c_bits(s):
    files = ["--kernel", s.build("vtom", VTOM_GUEST), "--memory", "64", "--mode", "sev-snp",
             "--guest-features", "vtom"]
    code, events, error = s.run(*files, "--limit", "5")
    want(code == 9 and "raw 0x2a1100" in error, (code, error))
    code, out, error = s.command("owner", "measure", *files)
    want(code == 0 and out.decode().strip() == summary(events)["vms"][0]["measurement"],
         (code, error))


@slow
def a_machine_is_the_part_that_its_report_names(s):
    """--cpu with a seed makes the platform that part: CPUID, certificates and the registers of
    firmware agree."""
    code, events, error = s.linux("none", "--cpu", "genoa,-umip")
    want(code == 0, error)
    processor = "AMD EPYC 9654 96-Core Processor (family: 0x19, model: 0x11, stepping: 0x1)"
    want(processor in console(events), "another processor")
    want("Enhanced / Automatic IBRS" in console(events), "a Genoa has automatic IBRS")
    code, events, error = s.linux("none", "--cpu", "milan")
    want("Automatic IBRS" not in console(events), "a Milan has no automatic IBRS")


@quick
def models_and_features_that_do_not_fit_are_refused(s):
    kernel = s.write("kernel", b"no kernel")
    for words, wrong in (
            (["--cpu", "paris"], "--cpu 'paris': a model is naples, rome, milan, genoa, turin or "
                                 "max"),
            (["--cpu", "milan,+monitor"], "+monitor: these cores do not implement it"),
            (["--mode", "sev-snp", "--guest-features", "0x20"],
             "guest-features '0x20' of vm1: an SNP guest has snp (bit 0)"),
            (["--mode", "sev-es", "--guest-features", "secure-tsc"],
             "without SNP there are debug-swap"),
            (["--mode", "sev-snp", "--guest-features", "restricted-injection,alternate-injection"],
             "exclude each other"),
            (["--mode", "sev-snp", "--guest-features", "debug-swap", "--tsc-frequency", "2000000"],
             "needs guest-features secure-tsc")):
        code, _, error = s.command("run", "--kernel", kernel, *words)
        want(code == 2 and wrong in error, (words, code, error))


def what_an_evil_host_launches_has_another_measurement(s):
    code, events, error = s.linux("sev-snp", "--tamper")
    want(code == 4 and "measurement" in error, (code, error))
    want(console(events) == "", "the guest ran")


def a_policy_that_the_firmware_cannot_keep_is_refused(s):
    code, _, error = s.linux("sev-snp", "--policy", "0x3ff00")
    want(code == 5 and "SNP_LAUNCH_START" in error and "policy" in error, (code, error))


@slow
def two_boots_from_one_seed_are_equal_to_the_byte(s):
    def boot(seed):
        code, out, error = s.command("run", "--kernel", s.kernel, "--initrd", s.initrd, "--append",
                                     "console=ttyS0 panic=-1 "
                                     "cryptomgr.notests quiet", "--mode", "sev-snp", "--cpus", "2",
                                     "--seed", seed, "--time",
                                     "1000000000", "--trace-hash", "--json",
                                     env={"SOFTSEV_STATE": s.state})
        want(code == 0, error)
        last = json.loads(out.splitlines()[-1])
        vm = last["vms"][0]
        return last["trace_sha256"], last["instructions"], vm["pages"], vm["measurement"]

    first = boot("story")
    want(first == boot("story"), "two runs differ")
    other = boot("another")
    want(first[0] != other[0], "another seed gives the same run")
    want(first[3] == other[3], "a measurement is of the files and nothing else")


@slow
def guests_of_all_modes_share_a_machine(s):
    vm = {"kernel": s.kernel, "initrd": s.initrd,
          "append": f"console=ttyS0 panic=-1 cryptomgr.notests {MARKER}", "memory": 256}
    active = {"none": None, "sev": "AMD SEV", "sev-es": "AMD SEV SEV-ES",
              "sev-snp": "AMD SEV SEV-ES SEV-SNP"}
    machine = s.write("machine.json", json.dumps({"vms": [dict(vm, name=f"guest-{mode}", mode=mode)
            for mode in active]}).encode())
    code, events, error = s.run("--machine", machine)
    want(code == 0, error)
    for mode, features in active.items():
        text = console(events, f"guest-{mode}").replace("\r", "")
        want("guest: Linux 6." in text, f"{mode} did not reach userland")
        found = re.search("Memory Encryption Features active: (.*)\n", text)
        want((found and found[1].strip()) == features, (mode, found))
    want(all(v["state"] == "powered off" for v in summary(events)["vms"]), summary(events))
    want(len({v["measurement"] for v in summary(events)["vms"]}) == 4, "measurements")


tell(
    a_stock_kernel_boots_with_sev_snp_active,
    a_newer_kernel_asks_for_a_report_that_its_owner_accepts,
    a_kernel_with_secure_tsc_uses_it,
    a_kernel_that_does_not_know_secure_tsc_says_so,
    a_guest_with_vtom_has_private_memory_without_c_bits,
    a_machine_is_the_part_that_its_report_names,
    models_and_features_that_do_not_fit_are_refused,
    what_an_evil_host_launches_has_another_measurement,
    a_policy_that_the_firmware_cannot_keep_is_refused,
    two_boots_from_one_seed_are_equal_to_the_byte,
    guests_of_all_modes_share_a_machine,
)
