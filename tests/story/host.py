#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""softsev host: kernels in host mode of the bare machine. First a small host of our own, then
Debian's ordinary kernel with KVM (OUT/vmlinuz-host, of `tools/fetch-guest.sh OUT host`)."""
import gzip
import json
import os
import signal
import subprocess

from story import Skip, archive, console, one_line, quick, slow, summary, tell, want

APPEND = "console=ttyS0 panic=-1 cryptomgr.notests nokaslr"


def host(s, *arguments, clock="virtual"):
    code, out, error = s.command("host", "--json", "--clock", clock, "--limit", "300", *arguments)
    return code, [json.loads(line) for line in out.splitlines()], error


def small_host(s, *arguments):
    path = os.environ.get("SOFTSEV_SMALL_HOST")
    if not path:
        raise Skip("the small host is not built here: it needs x86-64 and objcopy")
    return host(s, "--kernel", path, "--memory", "64M", "--seed", "story", "--no-reboot",
                *arguments)


@quick
def a_small_host_uses_all_that_a_bare_machine_has(s):
    code, events, error = small_host(s, "--cpus", "2")
    said = console(events, "host").splitlines()
    want(code == 0 and said == [
        "host: runs", "host: timer interrupts: 5", "host: other cores: 1",
        "host: the guest's RAX at VMMCALL: 42", "host: interrupts while a guest ran: 1",
        "host: status of PLATFORM_STATUS: 0", "host: major version of the SEV API: 1"],
         (code, said, error))
    want(summary(events)["state"] == "powered off", events[-1])


@quick
def lines_end_as_text_does(s):
    """Into a file or a pipe: no carriage returns but a console's own."""
    path = os.environ.get("SOFTSEV_SMALL_HOST")
    if not path:
        raise Skip("the small host is not built here: it needs x86-64 and objcopy")
    for command in (("host", "--kernel", path, "--memory", "64M", "--seed", "story"),
                    ("run", "--kernel", s.build("ends", ".globl _start\n_start: cli\nhlt\n"),
                     "--memory", "16M", "--limit", "1", "--clock", "virtual")):
        _, out, error = s.command(*command)
        want(len(out.splitlines()) > 3, (command, out, error))
        want(b"\r" not in out, (command, out))


@quick
def one_core_starts_no_other(s):
    code, events, error = small_host(s)
    want(code == 0 and "host: other cores: 0" in console(events, "host"), (code, events, error))


@quick
def runs_from_a_seed_are_equal_with_either_engine(s):
    hashes = {summary(small_host(s, "--cpus", "2", "--trace-hash", "--engine", engine)[1])
              ["trace_sha256"] for engine in ("auto", "auto", "interpreter")}
    want(len(hashes) == 1 and len(hashes.pop()) == 64, hashes)


@quick
def the_trace_shows_world_switches_and_commands(s):
    trace = s.path("host.trace")
    small_host(s, "--trace", "all", "--trace-file", trace)
    with open(trace, encoding="utf-8") as f:
        text = f.read()
    for word in ("VMEXIT", "PLATFORM_STATUS", '"event":"HOST"'):
        want(word in text, (word, text[:3000]))


@quick
def a_part_without_snp_has_no_rmp(s):
    trace = s.path("rome.trace")
    code, _, error = small_host(s, "--profile", "rome", "--trace", "vm", "--trace-file", trace)
    with open(trace, encoding="utf-8") as f:
        want(code == 0 and '"rmp":"0"' in f.read(), (code, error))


@quick
def what_is_expected_ends_the_run(s):
    code, events, error = small_host(s, "--expect", "other cores: 0")
    want(code == 0 and not error, (code, error))
    want("VMMCALL" not in console(events, "host"), events)
    code, _, error = small_host(s, "--expect", "no such line")
    want(code == 9 and "no such line" in one_line(error), (code, error))


RESETS = """
    .globl _start
_start:
    mov $0x3f8, %edx
    mov $'A', %al
    outb %al, %dx
    lidt nothing(%rip)
    ud2
nothing:
    .word 0
    .quad 0
"""


@quick
def a_triple_fault_resets_the_board(s):
    kernel = s.build("resets", RESETS)
    code, events, error = host(s, "--kernel", kernel, "--memory", "16M", "--seed", "a",
                               "--no-reboot")
    want(code == 9 and "triple fault" in one_line(error), (code, error))
    want(summary(events)["state"] == "reset" and console(events, "host") == "A", events)
    code, events, error = s.command("host", "--kernel", kernel, "--memory", "16M", "--seed", "a",
                                    "--json", "--limit", "1")
    events = [json.loads(line) for line in events.splitlines()]
    want(code == 9 and "--limit" in one_line(error), (code, error))
    want(summary(events)["reboots"] >= 8 and console(events, "host").startswith("AAAAAAAA"),
         events[-1])


# Makes keys for ever, with the secure processor's command PEK_GEN after INIT.
BUSY = """
    .globl _start
_start:
    mov $0x3f8, %edx
    mov $'A', %al
    outb %al, %dx
    mov $0xd0800000, %ebx
    movl $0x1000000, 0x109e0(%rbx)
    movl $0, 0x109e4(%rbx)
    movl $0x10000, 0x10980(%rbx)
1:  movl $0x50000, 0x10980(%rbx)
    jmp 1b
"""


@quick
def a_busy_secure_processor_keeps_no_signal_waiting(s):
    kernel = s.build("busy", BUSY)
    for clock in ("virtual", "wall"):
        command = [s.softsev, "host", "--kernel", kernel, "--memory", "64M", "--state", s.state,
                   "--clock", clock, "--json"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            try:
                for line in process.stdout:
                    if b"console" in line:
                        break
                process.send_signal(signal.SIGTERM)
                _, error = process.communicate(timeout=60)
            finally:
                process.kill()
        want(process.returncode == 128 + signal.SIGTERM, (clock, process.returncode, error))


HALTS = """
    .globl _start
_start:
    cli
    hlt
"""


@quick
def a_host_that_sleeps_for_good_is_an_error(s):
    code, _, error = host(s, "--kernel", s.build("halts", HALTS), "--memory", "16M", "--seed", "a")
    want(code == 9 and "halted for good" in one_line(error), (code, error))


ECHOES = """
    .globl _start
_start:
    mov $0x3fd, %edx
    inb %dx, %al
    test $1, %al
    jz _start
    mov $0x3f8, %edx
    inb %dx, %al
    outb %al, %dx
    cmp $'q', %al
    jne _start
    mov $0x604, %edx
    mov $0x3400, %eax
    outw %ax, %dx
"""


@quick
def what_is_typed_reaches_the_serial_port(s):
    kernel = s.build("echoes", ECHOES)
    for clock in ("virtual", "wall"):
        code, out, error = s.command("host", "--json", "--clock", clock, "--limit", "60",
                                     "--kernel", kernel, "--memory", "16M", "--state", s.state,
                                     data=b"typed, then q")
        events = [json.loads(line) for line in out.splitlines()]
        want(code == 0 and console(events, "host") == "typed, then q", (code, events, error))


@quick
def wrong_command_lines(s):
    for arguments, word in (([], "--kernel"), (["--kernel", "x", "--memory", "4G"], "--memory"),
                            (["--kernel", "x", "--memory", "3M"], "steps of 2M"),
                            (["--kernel", "x", "--cpus", "9"], "--cpus"),
                            (["--kernel", "x", "--seed", "a", "--clock", "wall"], "--clock"),
                            (["--kernel", "x", "--profile", "z80"], "z80")):
        code, _, error = s.command("host", *arguments)
        want(code == 2 and word in one_line(error), (arguments, code, error))
    disk = s.write("disk", bytes(512))
    code, _, error = s.command("host", "--kernel", "x", "--disk", disk, "--disk",
                               disk + ",readonly")
    want(code == 2 and "twice" in one_line(error), (code, error))
    code, text, _ = s.command("host", "--help")
    want(code == 0 and len(text.splitlines()) <= 24, text)
    code, _, error = s.command("host", "--kernel", s.path("absent"), "--seed", "a")
    want(code == 3 and "absent" in one_line(error), (code, error))


# --- Linux ---


def initrd_with_kvm(s, stock):
    """The host's initramfs with the program that launches guests by /dev/kvm."""
    program = os.environ.get("SOFTSEV_HOST_KVM")
    if not program:
        raise Skip("host-kvm is not built here: it needs linux/kvm.h and a static libc")
    with open(stock, "rb") as f, open(program, "rb") as p:
        both = f.read() + gzip.compress(archive([("bin/host-kvm", 0o100755, p.read())]), 1, mtime=0)
    return s.write("initrd-kvm.cpio.gz", both)


def linux(s, append, *arguments, kvm=False):
    kernel, initrd = f"{s.out}/vmlinuz-host", f"{s.out}/initrd-host.cpio.gz"
    if not os.path.exists(kernel) or not os.path.exists(initrd):
        raise Skip(f"no host kernel in {s.out}: tools/fetch-guest.sh {s.out} host gets one")
    if kvm:
        initrd = initrd_with_kvm(s, initrd)
    else:  # `make host` may have left an initramfs that launches some
        append += " guests=no"
    return host(s, "--kernel", kernel, "--initrd", initrd, "--append", f"{APPEND} {append}",
                "--memory", "1G", "--seed", "story", "--no-reboot", "--trace-hash", *arguments)


def a_stock_kernel_boots_in_host_mode_and_finds_the_platform(s):
    code, events, error = linux(s, "", "--cpus", "2")
    text = console(events, "host")
    want(code == 0 and summary(events)["state"] == "powered off", (code, error, text[-2000:]))
    for words in ("host: processors: 2", "SEV-SNP: RMP table physical range",
                  "AMD-Vi: IOMMU SNP support enabled", ": sev enabled", ": psp enabled",
                  "kvm_amd: Nested Paging enabled", "SEV-SNP API:1.55", "SEV API:1.55",
                  "SEV enabled (ASIDs 100 - 509)", "SEV-ES enabled (ASIDs 1 - 99)",
                  "SEV-SNP enabled (ASIDs 1 - 99)", "TSC scaling supported",
                  "LBR virtualization supported", "Virtual VMLOAD VMSAVE supported",
                  "Virtual GIF supported", "host: there is /dev/kvm",
                  "host: there is /dev/sev"):
        want(words in text, (words, text[-4000:]))
    for words in ("BUG:", "WARNING:", "Oops", "does not load"):
        want(words not in text, (words, text[-4000:]))


def the_hosts_kvm_launches_guests_in_every_mode(s):
    trace = s.path("kvm.trace")
    code, events, error = linux(s, "quiet", "--trace", "command", "--trace-file", trace, kvm=True)
    text = console(events, "host")
    want(code == 0, (code, error, text[-2000:]))
    for words in ("none: the guest says 5", "sev: the guest says 5", "sev: measurement ",
                  "sev-es: measurement ", "sev-es: the guest asks to be terminated: 0x420100",
                  "sev-snp: the guest asks to be terminated: 0x420100",
                  "sev-snp: 1000 times CPUID"):
        want("host: kvm: " + words in text, (words, text[-4000:]))
    with open(trace, encoding="utf-8") as f:
        commands = [json.loads(line) for line in f]
    done = {c["event"] for c in commands if c["status"] == "SUCCESS"}
    want({"LAUNCH_FINISH", "LAUNCH_UPDATE_VMSA", "SNP_LAUNCH_FINISH", "SNP_DECOMMISSION",
          "DECOMMISSION", "SNP_SHUTDOWN_EX"} <= done, sorted(done))


@slow
def the_driver_shuts_the_platform_down_and_starts_it_again(s):
    trace = s.path("again.trace")
    code, events, error = linux(s, "again", "--trace", "command", "--trace-file", trace)
    text = console(events, "host")
    want(code == 0, (code, error, text[-2000:]))
    want("host: kvm_amd is removed" in text and "host: ccp is removed" in text, text[-3000:])
    want(text.count("kvm_amd: SEV-SNP enabled") >= 2 and "does not load" not in text, text[-4000:])
    with open(trace, encoding="utf-8") as f:
        commands = [json.loads(line) for line in f if '"SNP_' in line]
    states = [(c["event"], c["iommu"]) for c in commands if "iommu" in c]
    want(states[:3] == [("SNP_INIT_EX", "taken"), ("SNP_SHUTDOWN_EX", "reclaim"),
                        ("SNP_INIT_EX", "taken")], states)
    want(all(c["status"] == "SUCCESS" for c in commands), commands)


@slow
def two_boots_from_a_seed_are_equal(s):
    first, second = (linux(s, "load=no quiet", "--cpus", "4") for _ in range(2))
    want(first[0] == second[0] == 0 and "host: processors: 4" in console(first[1], "host"),
         (first[0], first[2]))
    want(summary(first[1])["trace_sha256"] == summary(second[1])["trace_sha256"] and
         console(first[1], "host") == console(second[1], "host"), "two boots differ")


tell(a_small_host_uses_all_that_a_bare_machine_has, lines_end_as_text_does,
     one_core_starts_no_other,
     runs_from_a_seed_are_equal_with_either_engine, the_trace_shows_world_switches_and_commands,
     a_part_without_snp_has_no_rmp, what_is_expected_ends_the_run,
     a_triple_fault_resets_the_board, a_busy_secure_processor_keeps_no_signal_waiting,
     a_host_that_sleeps_for_good_is_an_error,
     what_is_typed_reaches_the_serial_port, wrong_command_lines,
     a_stock_kernel_boots_in_host_mode_and_finds_the_platform,
     the_hosts_kvm_launches_guests_in_every_mode,
     the_driver_shuts_the_platform_down_and_starts_it_again, two_boots_from_a_seed_are_equal)
