#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's gdb in Debian's 6.12 kernel, in each mode: it stops in start_kernel, watches a variable,
walks the kernel's list of modules, steps over a VMGEXIT into the hypervisor's answer, and goes back
from the #VC handler to the instruction that raised it. On the bare machine it steps from KVM's
VMRUN into a SEV-ES guest, and back. The addresses are those of /proc/kallsyms.

usage: gdb.py SOFTSEV OUT [NAME...]
"""
import gzip
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "story"))
# pylint: disable=wrong-import-position
import story
from debugged import Debugged
from story import APPEND, Skip, archive, console, tell, want

story.TIMEOUT = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "1800"))  # of one boot
NAMES = ("start_kernel", "early_boot_irqs_disabled", "modules", "kernel_power_off",
         "asm_exc_vmm_communication")
INIT = f"""#!/bin/sh
mount -t proc proc /proc
grep -E ' ({'|'.join(NAMES)})$' /proc/kallsyms | sed 's/^/symbol: /'
poweroff -f
"""

KERNEL = """
hbreak *$start_kernel
continue
printf "<start_kernel %d>\\n", $rip == $start_kernel
delete
watch *(char*)$early_boot_irqs_disabled
continue
delete
hbreak *$kernel_power_off
continue
printf "<power off %d>\\n", $rip == $kernel_power_off
delete
set $m = *(long*)$modules
set $n = 0
while $m != $modules && $n < 50
  printf "<module %s>\\n", (char*)($m + 16)
  set $m = *(long*)$m
  set $n = $n + 1
end
"""
VMGEXIT = """
hbreak *$asm_exc_vmm_communication
continue
delete
set $n = 0
while *(unsigned*)$rip != 0xd9010ff3 && $n < 20000
  stepi
  set $n = $n + 1
end
set $at = $rip
monitor ghcb
stepi
printf "<answered %d>\\n", $rip == $at + 4
"""
BACK = """
hbreak *$start_kernel
continue
delete
hbreak *$asm_exc_vmm_communication
continue
printf "<code %x>\\n", *(int*)$rsp
set $after = *(long*)($rsp + 8)
reverse-stepi
printf "<raised %d>\\n", $rip == $after
printf "<by %x>\\n", *(unsigned short*)$rip
stepi
printf "<handler %d>\\n", $rip == $asm_exc_vmm_communication
kill
"""


def guest(s):
    """The kernel's files, and a command line that keeps its addresses."""
    s.kernel, s.initrd = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz"
    if not os.path.exists(s.kernel):
        raise Skip(f"there is no {s.kernel}")
    return ["--kernel", s.kernel, "--append", APPEND + " nokaslr quiet", "--memory", "512"]


def symbols(s):
    """GDB's variables with the kernel's addresses."""
    initrd = s.initrd_with("kallsyms.cpio.gz", INIT)
    code, events, error = s.run(*guest(s), "--initrd", initrd)
    found = dict(re.findall(r"symbol: ([0-9a-f]+) \w (\w+)", console(events)))
    found = {name: address for address, name in found.items()}
    want(code == 0 and set(found) == set(NAMES), (code, error, found))
    return "".join(f"set ${name} = 0x{address}\n" for name, address in found.items())


def debugged(s, mode):
    files = guest(s)
    r = Debugged(s, "run", "unix:" + s.path("socket"), "--gdb-wait", "--initrd", s.initrd, "--mode",
                 mode, "--state", s.state, *files)
    es = mode in ("sev-es", "sev-snp")
    said = r.gdb(symbols(s) + KERNEL + (VMGEXIT if es else "") + "continue\n")
    code, error = r.end()
    seen = ["<start_kernel 1>", "Old value = 0", "<power off 1>", "<module virtio"]
    for text in seen + (["version 2, usage 0", "<answered 1>"] if es else []):
        want(text in said, (mode, text, said))
    want(code == 0, (mode, code, error))


def a_plain_kernel(s):
    debugged(s, "none")


def a_kernel_under_sev(s):
    debugged(s, "sev")


def a_kernel_under_sev_es(s):
    debugged(s, "sev-es")


def a_kernel_under_snp(s):
    debugged(s, "sev-snp")


def back_from_the_vc_handler(s):
    files = guest(s)
    r = Debugged(s, "run", "unix:" + s.path("socket"), "--gdb-wait", "--gdb-reverse", "--seed",
                 "gdb", "--initrd", s.initrd, "--mode", "sev-snp", "--state", s.state, *files)
    said = r.gdb(symbols(s) + BACK)
    code, error = r.end()
    for text in ("<raised 1>", "<handler 1>"):
        want(text in said, (text, said))
    # CPUID, RDMSR, WRMSR
    want(re.search("<code 72>.*<by a20f>|<code 7c>.*<by 3[02]0?f>", said, re.S), said)
    want(code == 0, (code, error))


# --- KVM on the bare machine ---

VCPU_RUN = "__svm_sev_es_vcpu_run"
INTO_KVM = """
hbreak *$vcpu_run
continue
delete
set $n = 0
while (*(unsigned*)$rip & 0xffffff) != 0xd8010f && $n < 1000
  stepi
  set $n = $n + 1
end
set $vmrun = $rip
monitor info
stepi
monitor info
monitor registers
set $n = 0
while $rip != $vmrun + 3 && $n < 1000
  stepi
  set $n = $n + 1
end
printf "<back %d>\\n", $rip == $vmrun + 3 && $n > 0
monitor info
monitor launch
detach
"""


def host_files(s):
    """The host's kernel and initramfs, with the program that launches guests, and an init that
    tells where KVM enters them."""
    kernel, stock = f"{s.out}/vmlinuz-host", f"{s.out}/initrd-host.cpio.gz"
    program = os.path.join(os.path.dirname(s.softsev), "guests", "host", "host-kvm")
    for path in (kernel, stock, program):
        if not os.path.exists(path):
            raise Skip(f"there is no {path}")
    with open(f"{TOP}/tools/host-init.sh", encoding="utf-8") as f:
        init = f.read().replace("modes=none", f"grep -w {VCPU_RUN} /proc/kallsyms | "
                                "sed 's/^/symbol: /'\nmodes=none")
    with open(stock, "rb") as f, open(program, "rb") as p:
        both = f.read() + gzip.compress(archive([("init", 0o100755, init.encode()),
                                                 ("bin/host-kvm", 0o100755, p.read())]), 1)
    return ["--kernel", kernel, "--initrd", s.write("initrd-kvm", both), "--memory", "1G", "--seed",
            "gdb", "--no-reboot", "--append"]


def into_kvms_guest_and_back(s):
    files, append = host_files(s), APPEND + " nokaslr quiet"
    code, out, error = s.command("host", "--quiet", *files, append + " guests=no")
    found = re.search(rb"symbol: ([0-9a-f]+) ", out)
    want(code == 0 and found, (code, error))
    r = Debugged(s, "host", "unix:" + s.path("socket"), "--gdb-wait", *files, append)
    said = r.gdb(f"set $vcpu_run = 0x{found[1].decode()}\n" + INTO_KVM)
    code, error = r.end()
    worlds = re.findall("^core 0, (.*?)[,:].*$", said, re.M)
    want(worlds == ["host", "sev-es guest", "host"], (worlds, said, error))
    for text in ("<back 1>", "a host sees ciphertext there", "LAUNCH_UPDATE_VMSA"):
        want(text in said, (text, said))
    want(code == 0, (code, error))
    want("sev-snp: 1000 times CPUID" in console(r.events, "host"), r.events[-3:])


tell(a_plain_kernel, a_kernel_under_sev, a_kernel_under_sev_es, a_kernel_under_snp,
     back_from_the_vc_handler, into_kvms_guest_and_back)
