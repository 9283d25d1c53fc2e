#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's gdb in Debian's 6.12 kernel, in each mode: it stops in start_kernel, watches a variable,
walks the kernel's list of modules, steps over a VMGEXIT into the hypervisor's answer, and goes back
from the #VC handler to the instruction that raised it. The addresses are those of /proc/kallsyms.

usage: gdb.py SOFTSEV OUT [NAME...]
"""
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "story"))
# pylint: disable=wrong-import-position
import story
from debugged import Debugged
from story import APPEND, Skip, console, tell, want

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


tell(a_plain_kernel, a_kernel_under_sev, a_kernel_under_sev_es, a_kernel_under_snp,
     back_from_the_vc_handler)
