#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cannot or must not be done: each has its exit code and one clear line; and a process killed
at any moment leaves a state directory that is the old one or the new one.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import time

from story import FEW, console, one_line, quick, steps, summary, tell, want


def refused(s, code, words, *arguments, **options):
    got, events, error = s.run(*arguments, **options)
    want(got == code, (arguments, got, error))
    line = one_line(error)
    want(all(w in line for w in words), (words, line))
    want(all(e["event"] != "console" for e in events), "a guest ran")
    return line


def an_evil_host_never_gets_the_secret_out_of_the_owner(s):
    code, events, error = s.linux("sev", "--owner-secret", s.secret, "--tamper")
    want(code == 4 and "measurement" in one_line(error), (code, error))
    want("sealed" not in steps(events, "owner") and console(events) == "", "the launch went on")


@quick
def wrong_command_lines_and_machine_files(s):
    kernel = s.write("some-kernel", b"x" * 5000)
    for arguments, word in (([], "kernel"), (["--kernel"], "value"),
                            (["--kernel", kernel, "--mode", "snp-es"], "mode"),
                            (["--kernel", kernel, "--no-such-option"], "no-such-option"),
                            (["stray"], "stray"),
                            (["--kernel", kernel, "--memory", "lots"], "memory"),
                            (["--kernel", kernel, "--policy", "0x100000000"], "policy"),
                            (["--kernel", kernel, "--trace", "gossip"], "gossip"),
                            (["--kernel", kernel, "--time", "-1"], "time"),
                            (["--kernel", kernel, "--owner-secret", s.secret, "--owner-dir",
                              s.folder], "owner-dir")):
        refused(s, 2, [word], *arguments)
    for text, word in ((b"no JSON", "expected"), (b"{}", "vms"), (b'{"vms": []}', "vms"),
                       (b'{"vms": [3]}', "object"),
                       (b'{"vms": [{"name": "n"}]}', "needs 'kernel'"),
                       (b'{"vms": [{"colour": "red"}]}', "colour"),
                       (b'{"vms": [{"kernel": true}]}', "kernel"),
                       (b'{"vms": [{"kernel": "k", "kernel": "k"}]}', "duplicate"),
                       (json.dumps({"vms": [{"kernel": "k"}] * 4097}).encode(), "1 to 4096")):
        refused(s, 2, [word], "--machine", s.write("machine.json", text))
    refused(s, 3, ["machine"], "--machine", s.path("missing.json"))
    want(s.command("platform", "init", "--state", s.state)[0] == 0, "platform init")
    code, _, error = s.command("platform", "measure", "--state", s.state, "--launch",
                               s.write("launched", bytes(64)), "--policy", "0x100000000")
    want(code == 2 and ": --policy '0x100000000': expected a number" in error, error)
    code, _, error = s.command("run", "--kernel", kernel, "--mode", "none", "--owner-secret",
                               s.secret)
    want(code == 3 or code == 2, (code, error))
    for arguments in (["no-such-command"], [], ["platform"], ["owner", "no-such-action"]):
        code, _, error = s.command(*arguments)
        want(code == 2 and error, (arguments, code))


def what_somebody_else_wrote_moves_no_cursor(s):
    """Names in a machine file, of files and of a command: what errors quote is escaped, and UTF-8
    stays."""
    evil = "\x1b[31m\r\x9b2J"
    lists = s.path("lists-\x1b[2J")
    os.makedirs(lists)
    with open(os.path.join(lists, "gr\u00fc\u00df\x07"), "wb") as f:
        f.write(b"\1\2\3")
    for arguments in (["run", "--machine", s.write("evil.json",
            json.dumps({"vms": [{"kernel": evil}]}).encode())],
                      ["run", "--machine", s.write("evil.json",
                              json.dumps({evil: 1, "vms": [{"kernel": "k"}]}).encode())],
                      ["owner", "verify", "--report", s.write("report", bytes(1184)), "--root",
                       os.path.join(lists, os.listdir(lists)[0])], [evil]):
        code, _, error = s.command(*arguments)
        want(code in (2, 3, 4) and "\\x1b[" in error, (arguments, code, error))
        want(not set(error) & set("\x1b\r\x07\x9b"), (arguments, error))
    code, _, error = s.command("run", "--kernel", s.path("gr\u00fc\u00df"))
    want(code == 3 and "gr\u00fc\u00df" in error, (code, error))


def files_that_are_no_kernels(s):
    with open(s.kernel, "rb") as f:
        real = f.read()
    elf32 = s.build("elf32", ".globl _start\n_start: hlt\n", wide=False)
    elf64 = s.build("elf64", ".globl _start\n_start: hlt\n")
    with open(elf64, "rb") as f:
        wide = f.read()
    cases = [("text", b"no kernel\n" * 1000, ""), ("empty", b"", ""), ("short", real[:400], ""),
             ("setup", real[:4096], "truncated"),
             ("half", real[:len(real) // 2], "truncated"), ("elf-head", wide[:100], "truncated"),
             ("elf-arm", wide[:18] + b"\xb7\0" + wide[20:], "processor")]
    for name, data, word in cases:
        line = refused(s, 3, [s.path(name), word], "--kernel", s.write(name, data))
        want(len(line) < 250, line)
    refused(s, 3, [elf32, "multiboot"], "--kernel", elf32)
    refused(s, 3, ["missing"], "--kernel", s.path("missing"))
    refused(s, 3, [s.folder], "--kernel", s.folder)
    refused(s, 3, ["qcow2", "qemu-img convert"], "--kernel", s.kernel, "--disk",
            s.write("disk.qcow2", b"QFI\xfb" + bytes(508)))
    refused(s, 3, ["missing-disk"], "--kernel", s.kernel, "--disk", s.path("missing-disk"))
    refused(s, 3, ["512"], "--kernel", s.kernel, "--disk", s.write("odd-disk", b"x" * 700))
    refused(s, 3, ["missing-initrd"], "--kernel", s.kernel, "--initrd", s.path("missing-initrd"))
    refused(s, 3, ["missing-secret"], "--kernel", s.kernel, "--mode", "sev", "--owner-secret",
            s.path("missing-secret"))
    refused(s, 2, ["16 KiB"], "--kernel", s.kernel, "--mode", "sev", "--owner-secret",
            s.write("big", b"x" * 20000))
    refused(s, 2, ["encrypted"], "--kernel", s.kernel, "--owner-secret", s.secret)


def a_policy_that_the_firmware_refuses_names_the_rule(s):
    refused(s, 5, ["LAUNCH_START", "9.9"], "--kernel", s.kernel, "--mode", "sev", "--policy",
            "0x09090001")


@quick
def a_policy_that_is_not_of_the_mode_says_which_bit_is_wrong(s):
    kernel = s.build("policy", ".globl _start\n_start: hlt\n")
    for mode, policy, words in (("sev-es", "0", "bit 2 (ES) must be one under sev-es, as in 0x4"),
                                ("sev-es", "0x30000",
                                 "bit 2 (ES) must be one under sev-es, as in 0x30004"),
                                ("sev", "5", "bit 2 (ES) must be zero under sev, as in 0x1"),
                                ("sev", "0x40", "bits 15:6 must be zero, as in 0x0"),
                                ("sev-es", "0x8005", "bits 15:6 must be zero, as in 0x5"),
                                ("sev", "0x100000000", "32 bits"),
                                ("sev-snp", "1", "bit 17 must be one under sev-snp"),
                                ("sev-snp", "0x4030000", "bits 63:26 zero, such as 0x30000")):
        refused(s, 2, ["--policy 0x" if "32" not in words else "--policy '0x", words], "--kernel",
                kernel, "--mode", mode, "--policy", policy)
        machine = s.write("machine.json", json.dumps({"vms": [{"kernel": kernel, "mode": mode,
                "policy": policy}]}).encode())
        refused(s, 2, ["vms[0]: 'policy' ", words], "--machine", machine)


def too_little_memory_says_how_much_there_is(s):
    refused(s, 6, ["memory"], "--kernel", s.kernel, "--initrd", s.initrd, "--memory", "32")
    refused(s, 6, ["memory"], "--kernel", s.kernel, "--initrd", s.initrd, "--mode", "sev",
            "--memory", "16")


@quick
def what_cannot_be_printed_is_not_said_to_be_done(s):
    for arguments in (["profiles"], ["profiles", "--json"], ["--version"], ["--help"],
                      ["owner", "--help"], ["attack", "list", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([s.softsev, *arguments], stdout=full, stderr=subprocess.PIPE,
                                  timeout=60, check=False)
        want(done.returncode == 3 and b"standard output" in done.stderr, (arguments, done))


@quick
def what_may_not_be_read_or_written_says_so(s):
    """As somebody else than the folder's owner, where we are root."""
    closed = s.path("closed")
    os.mkdir(closed)
    os.chmod(closed, 0)
    os.chmod(s.folder, 0o755)
    other = {"user": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    report = s.write("a-report", bytes(1184))
    for arguments in (["owner", "verify", "--report", report, "--root", report, "--certs", closed],
                      ["owner", "verify", "--report", closed + "/report", "--root", report,
                       "--certs", report],
                      ["kds", "--listen", "127.0.0.1:0", "--state", closed],
                      ["platform", "status", "--state", closed],
                      ["with", "--state", closed, "--", "true"], ["fixtures", "--out", closed],
                      ["fixtures", "--out", closed + "/new"],
                      ["owner", "hello", "--out-dir", closed + "/new"]):
        done = subprocess.run([s.softsev, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20, check=False, **other)
        want(done.returncode == 3 and closed in one_line(done.stderr.decode())
             and b"Permission denied" in done.stderr, (arguments, done))
    os.chmod(closed, 0o755)


@quick
def what_comes_through_a_pipe_is_read_to_its_end(s):
    arguments = ["owner", "verify", "--root", "/dev/null", "--certs", "/dev/null", "--report",
                 "/dev/stdin"]
    want(s.command("platform", "init", "--state", s.state)[0] == 0, "platform init")
    want(s.command("platform", "certs", "--state", s.state, "--out", s.path("certs"))[0] == 0,
         "platform certs")
    ark = s.path("certs", "ark.pem")
    for size, code, word in ((100, 4, "this one 100"), (300000, 4, "this one 300000"),
                             (70 << 20, 3, "64 MiB")):
        got, _, error = s.command(*arguments[:2], *arguments[6:], "--root", ark, "--certs", ark,
                                  data=bytes(size))
        want(got == code and word in one_line(error), (size, got, error))
    got, _, error = s.command(*arguments, data=b"")
    want(got == 3 and "/dev/null: this is an empty file, not a certificate" in error, error)


@quick
def a_corrupt_state_directory_is_said_to_be_one(s):
    kernel = s.build("quick", ".globl _start\n_start: mov $0, %eax\nout %al, $0xf4\nhlt\n")
    arguments = ["--kernel", kernel, "--mode", "sev", "--memory", "16"]
    code, events, error = s.run(*arguments)
    want(summary(events)["vms"][0]["state"] == "debug exit", (code, error))
    state = s.path("corrupt")
    for name in sorted(os.listdir(s.state)):
        if name == "lock":
            continue
        size = os.path.getsize(os.path.join(s.state, name))
        for how in ("last", "middle", "first", "shorter", "longer", "empty"):
            shutil.rmtree(state, ignore_errors=True)
            shutil.copytree(s.state, state)
            with open(os.path.join(state, name), "r+b") as f:
                if how in ("shorter", "empty"):
                    f.truncate(size - 1 if how == "shorter" else 0)
                elif how == "longer":
                    f.seek(0, os.SEEK_END)
                    f.write(b"\0")
                else:
                    at = {"last": size - 1, "middle": size // 2, "first": 0}[how]
                    f.seek(at)
                    byte = f.read(1)[0]
                    f.seek(at)
                    f.write(bytes([byte ^ 1]))
            refused(s, 7, ["state"], *arguments, state=state)


@quick
def a_state_directory_in_use_is_said_to_be_in_use(s):
    kernel = s.build("forever", ".globl _start\n_start: jmp _start\n")
    arguments = ["--kernel", kernel, "--mode", "sev", "--memory", "16"]
    first = subprocess.Popen([s.softsev, "run", "--state", s.state, "--json", *arguments],
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        for line in first.stdout:
            if b"VMRUN" in line:
                break
        refused(s, 8, [s.state], *arguments)
        code, _, error = s.command("platform", "status", "--state", s.state)
        want(code == 8, (code, error))
    finally:
        first.kill()
        first.communicate()
    code, _, error = s.command("platform", "status", "--state", s.state)
    want(code == 0, ("a lock outlived its process", error))


@quick
def killed_at_any_moment_the_state_is_the_old_one_or_the_new_one(s):
    """SIGKILL at random moments of commands that write: the next command works, and says nothing of
    corruption."""
    state, seed = s.path("killed"), random.SystemRandom().randrange(1 << 32)
    dice = random.Random(seed)
    kills = 12 if FEW else 60
    good = s.command("platform", "init", "--state", state)
    want(good[0] == 0, good)
    begun = time.monotonic()
    s.command("platform", "pek-gen", "--state", state)
    length = time.monotonic() - begun
    hit = 0
    for n in range(10 * kills):
        if n >= kills and hit > kills // 4:
            break
        action = dice.choice(["pek-gen", "pdh-gen", "reset", "init"])
        process = subprocess.Popen([s.softsev, "platform", action, "--state", state],
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        if dice.random() < 0.5:  # anywhere
            time.sleep(dice.random() * length * 1.1)
        else:  # while it writes
            while process.poll() is None and not any(n.endswith(".new") for n in os.listdir(state)):
                pass
            time.sleep(dice.random() * 0.0005)
        process.kill()
        hit += process.wait() == -signal.SIGKILL
        code, out, error = s.command("platform", "status", "--state", state)
        want(code == 0 and b"verify" in out, (f"seed {seed}", action, code, error))
    want(hit > kills // 4, f"only {hit} of {10 * kills} were killed in time")
    left = [n for n in os.listdir(state) if n.endswith((".new", ".tmp"))]
    want(len(left) <= 1, left)


tell(
    an_evil_host_never_gets_the_secret_out_of_the_owner,
    wrong_command_lines_and_machine_files,
    what_somebody_else_wrote_moves_no_cursor,
    files_that_are_no_kernels,
    a_policy_that_the_firmware_refuses_names_the_rule,
    a_policy_that_is_not_of_the_mode_says_which_bit_is_wrong,
    too_little_memory_says_how_much_there_is,
    what_cannot_be_printed_is_not_said_to_be_done,
    what_may_not_be_read_or_written_says_so,
    what_comes_through_a_pipe_is_read_to_its_end,
    a_corrupt_state_directory_is_said_to_be_one,
    a_state_directory_in_use_is_said_to_be_in_use,
    killed_at_any_moment_the_state_is_the_old_one_or_the_new_one,
)
