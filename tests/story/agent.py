#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An owner's secret for an SNP guest: the agent in its initramfs asks for it with a report of its own, over a channel that the
host carries. SOFTSEV_AGENT is the agent; a kernel with a sev-guest driver is needed.
"""
import hashlib
import os

from story import SECRET, SECRET_WORD, Skip, console, occurs, slow, steps, tell, want

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for list in order snp-order; do while read -r module; do insmod "/modules/$module"; done <"/modules/$list"; done
@ask@ && echo "guest: got $(sha256sum </secret/secret)"
echo "guest: agent ended with $?, $(ls -l /secret 2>/dev/null | grep -c -e '-rw-------') file"
poweroff -f
"""


def run(s, *more, agent=True):
    kernel, initrd, program = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz", os.environ.get("SOFTSEV_AGENT", "")
    if not os.path.exists(kernel):
        raise Skip("no Linux 6.12")
    if not os.path.exists(program):
        raise Skip("no agent: it needs a static libcrypto")
    s.initrd, init = initrd, INIT.replace("@ask@", "softsev-agent" if agent else "false")
    with open(program, "rb") as f:
        files = [("bin/softsev-agent", 0o100755, f.read())]
    return s.run("--kernel", kernel, "--initrd", s.initrd_with("agent.cpio.gz", init, files), "--append",
                 "console=ttyS0 panic=-1 cryptomgr.notests", "--memory", "512", "--mode", "sev-snp", "--owner-secret", s.secret, *more)


@slow
def an_agent_gets_its_owners_secret_and_nobody_else_does(s):
    dram = s.path("dram")
    code, events, error = run(s, "--dump", dram)
    want(code == 0, error)
    text = console(events)
    want(f"guest: got {hashlib.sha256(SECRET).hexdigest()}" in text, text[-2000:])
    want("guest: agent ended with 0, 1 file" in text, text[-500:])
    want("sealed to that key" in steps(events, "owner"), steps(events, "owner"))
    want("the agent has the secret" in steps(events, "guest"), steps(events, "guest"))
    want(occurs(dram, SECRET_WORD) == [], "the secret is readable in DRAM")
    os.unlink(dram)


@slow
def a_secret_that_nobody_asks_for_is_not_given(s):
    code, events, error = run(s, agent=False)
    want(code == 9 and "no agent in the guest" in error, (code, error))
    want("sealed" not in steps(events, "owner"), steps(events, "owner"))


tell(an_agent_gets_its_owners_secret_and_nobody_else_does, a_secret_that_nobody_asks_for_is_not_given)
