#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`softsev with`: programs that know nothing of softsev find /dev/sev. The program here is Python
with fcntl.ioctl; real tools are in tests/interop.
"""
import ctypes
import errno
import fcntl
import json
import os
import pwd
import shutil
import signal
import struct
import subprocess
import sys
import time
import urllib.request

from story import Skip, TIMEOUT, one_line, quick, tell, want

ISSUE = 0xC0105300
PLATFORM_STATUS, PDH_GEN, PDH_CERT_EXPORT, GET_ID2 = 1, 4, 5, 8
SNP_PLATFORM_STATUS, SNP_SET_CONFIG, SNP_VLEK_LOAD = 9, 11, 12
PDH, CHAIN = 2084, 6252
LOWER_TCB = 0x0100000000000001


# --- The program ---


class Device:
    """What a tool does with the device file."""

    def __init__(self, flags=os.O_RDWR):
        self.fd = os.open("/dev/sev", flags)

    def issue(self, command, data=b""):
        """Errno (0: none), firmware status, the structure as it came back."""
        user = ctypes.create_string_buffer(data, max(1, len(data)))
        argument = bytearray(struct.pack("<IQI", command, ctypes.addressof(user) if data else 0, 0))
        try:
            fcntl.ioctl(self.fd, ISSUE, argument)
            code = 0
        except OSError as problem:
            code = problem.errno
        return code, struct.unpack_from("<I", argument, 12)[0], user.raw[:len(data)]

    def export(self):
        pdh, chain = ctypes.create_string_buffer(PDH), ctypes.create_string_buffer(CHAIN)
        done = self.issue(PDH_CERT_EXPORT, struct.pack("<QIQI", ctypes.addressof(pdh), PDH,
                                                       ctypes.addressof(chain), CHAIN))
        want(done[:2] == (0, 0), done)
        return pdh.raw + chain.raw

    def chip_id(self):
        code, status, user = self.issue(GET_ID2, bytes(12))
        size = struct.unpack_from("<I", user, 8)[0]
        want((code, status) == (errno.EIO, 4) and size in (8, 64),
             ("the length of the chip id", code, status, size))
        chip_id = ctypes.create_string_buffer(64)
        want(self.issue(GET_ID2, struct.pack("<QI", ctypes.addressof(chip_id), 64))[:2] == (0, 0),
             "the chip id")
        return chip_id.raw[:size]


def program_export():
    sys.stdout.buffer.write(Device(os.O_RDONLY).export())


def program_new_pdh():
    want(Device().issue(PDH_GEN)[:2] == (0, 0), "PDH_GEN")


def program_status():
    device = Device(os.O_RDONLY)
    code, status, legacy = device.issue(PLATFORM_STATUS, bytes(12))
    want((code, status) == (0, 0), (code, status))
    snp = device.issue(SNP_PLATFORM_STATUS, bytes(32))
    print(json.dumps({"api": list(legacy[:2]), "state": legacy[2], "build": legacy[7],
                      "snp": snp[:2], "snp_state": snp[2][2],
                      "id": device.chip_id().hex(), "uid": os.getuid()}))


def program_read_only():
    device = Device(os.O_RDONLY)
    want(device.issue(PDH_GEN)[0] == errno.EPERM, "PDH_GEN without write access")
    want(device.issue(SNP_SET_CONFIG, bytes(64))[0] == errno.EPERM,
         "SET_CONFIG without write access")


def program_shared():
    """Several processes at once, all on one platform."""
    seen = Device().chip_id()
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            own = Device()
            os._exit(0 if all(own.chip_id() == seen for _ in range(50)) else 1)
        children.append(pid)
    for pid in children:
        want(os.waitpid(pid, 0)[1] == 0, "a process saw something else")


def program_certificates():
    """What the host hands out beside a report: at first, when SNP_SET_CONFIG has lowered the TCB
    that is reported, and when a VLEK for that TCB is loaded."""
    report, answers = "/sys/kernel/config/tsm/report/r0", []
    os.mkdir(report)
    stick = ctypes.create_string_buffer(bytes.fromhex(os.environ["STICK"]))
    for command, data in ((None, b""), (SNP_SET_CONFIG, struct.pack("<QI52x", LOWER_TCB, 0)),
                          (SNP_VLEK_LOAD, struct.pack("<IB3xQ", 16, 0, ctypes.addressof(stick)))):
        if command:
            done = Device().issue(command, data)
            want(done[:2] == (0, 0), done)
        with open(f"{report}/inblob", "wb") as f:
            f.write(bytes(64))
        answers.append([open(f"{report}/{name}", "rb").read().hex()
                        for name in ("outblob", "auxblob")])
    print(json.dumps(answers))


def refused(code, function, *arguments, **options):
    """The call fails with this error."""
    try:
        function(*arguments, **options)
    except OSError as problem:
        want(problem.errno == code, (function, arguments, problem))
    else:
        want(False, (function, arguments, "succeeded"))


def program_folder():
    """The folder of reports as systemd and shells use it: opened, listed, entered, files found from
    there."""
    top = "/sys/kernel/config/tsm/report"
    entry = f"{top}/r0"
    os.mkdir(entry)
    folder, whole = os.open(entry, os.O_PATH | os.O_DIRECTORY), os.open(top, os.O_DIRECTORY)
    inblob = os.open("inblob", os.O_WRONLY, dir_fd=folder)
    want(os.write(inblob, bytes(64)) == 64, "inblob")
    os.close(inblob)
    outblob = os.open("r0/outblob", os.O_RDONLY, dir_fd=whole)
    want(len(os.read(outblob, 4096)) == 1184, "outblob")
    want(os.path.sameopenfile(outblob, os.open("outblob", os.O_RDONLY, dir_fd=folder)), "one file")
    want(sorted(os.listdir(entry)) == ["auxblob", "generation", "inblob", "outblob", "privlevel",
                                       "privlevel_floor", "provider"], os.listdir(entry))
    os.chdir(entry)
    want(os.getcwd() == entry and open("provider", encoding="ascii").read() == "sev_guest\n",
         os.getcwd())
    shutil.copyfile("outblob", os.environ["COPY"])
    shell = 'set -e; cd /sys/kernel/config/tsm/report/r0; test "$(pwd -P)" = "$PWD"; '\
            'cat ../r0/generation; cd ../../../../..; test "$(pwd -P)" = /sys'
    want(subprocess.run(["sh", "-c", shell], stdout=subprocess.PIPE, check=False).stdout == b"1\n",
         "a shell that enters it")
    for command in (["ls", "-la", entry], ["find", top], ["realpath", f"{entry}/../r0/outblob"]):
        done = subprocess.run(command, capture_output=True, check=False)
        want(done.returncode == 0 and b"outblob" in done.stdout and not done.stderr, done)
    os.mkdir("r1", dir_fd=whole)
    refused(errno.EPERM, os.mkdir, "below", dir_fd=folder)
    refused(errno.EPERM, os.rename, "r1", "r2", src_dir_fd=whole, dst_dir_fd=whole)
    refused(errno.EACCES, os.open, "other", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    refused(errno.EPERM, os.unlink, f"{entry}/outblob")
    os.chdir("/")
    os.rmdir("r1", dir_fd=whole)
    os.rmdir(entry)
    want(os.listdir(whole) == [] and os.listdir(folder) == [], "what is left")


def program_sleep():
    print("here", flush=True)
    time.sleep(60)


# --- The stories ---


def with_program(s, name, *options):
    """softsev with -- this file, as the program: exit code, output, error text."""
    command = [s.softsev, "with", "--state", s.state, *options, "--", sys.executable,
               os.path.abspath(__file__), "--program", name]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr.decode()


def succeed(s, name, *options):
    code, out, error = with_program(s, name, *options)
    want(code == 0, (name, code, error))
    return out


@quick
def a_program_finds_the_platform(s):
    status = json.loads(succeed(s, "status"))
    want(status["state"] == 1 and status["snp"] == [0, 0] and status["snp_state"] == 1, status)
    code, out, error = s.command("platform", "status", "--state", s.state, "--json")
    shown = json.loads(out)
    want(code == 0 and shown["chip_id"][:128] == status["id"], (status, shown, error))
    want([shown["api_major"], shown["api_minor"], shown["build"]] == [*status["api"],
            status["build"]], (status, shown))
    succeed(s, "read_only")


@quick
def the_platform_is_the_same_the_next_time(s):
    first = succeed(s, "export")
    want(succeed(s, "export") == first, "another PDH or chain")
    folder = s.path("exported")
    want(s.command("platform", "export", "--state", s.state, "--out", folder)[0] == 0,
         "softsev platform export")
    with open(os.path.join(folder, "pdh.cert"), "rb") as f:
        want(f.read() == first[:PDH], "softsev platform knows another PDH")
    succeed(s, "new_pdh")
    after = succeed(s, "export")
    want(after[:PDH] != first[:PDH] and after[PDH:] == first[PDH:], "a new PDH under the same PEK")


@quick
def a_seed_gives_the_same_chip(s):
    ids = []
    for name in ("one", "two"):
        s.state = s.path(name)
        ids.append(json.loads(succeed(s, "status", "--seed", "a story"))["id"])
    want(ids[0] == ids[1], ids)
    code, _, error = with_program(s, "status", "--seed", "another")
    want(code == 2 and "seed" in one_line(error), (code, error))


@quick
def a_part_without_snp_refuses_it(s):
    s.state = s.path("naples")
    for more in (["--profile", "naples"], []):  # kept for the next time
        status = json.loads(succeed(s, "status", *more))
        want(status["snp"] == [errno.EIO, 0x11] and status["state"] == 1, status)
    code, _, error = with_program(s, "status", "--profile", "pentium")
    want(code == 2 and "pentium" in one_line(error), (code, error))


@quick
def every_part_has_its_door(s):
    succeed(s, "status")
    code, out, error = s.command("profiles", "--json")
    want(code == 0, error)
    profiles = json.loads(out)
    want(len(profiles) > 5, profiles)
    for profile in profiles:
        state, s.state = s.state, s.path("of-" + profile["name"])
        shutil.copytree(state, s.state)
        status = json.loads(succeed(s, "status", "--profile", profile["name"]))
        s.state = state
        want(status["api"] == [profile["api_major"], profile["api_minor"]] and status["state"] == 1,
             (profile, status))
        want(status["snp"] == ([0, 0] if profile["report_version"] else [errno.EIO, 0x11]),
             (profile, status))


@quick
def several_processes_share_it(s):
    succeed(s, "shared")


def hashstick(s, chip):
    """A provider's key for this chip and LOWER_TCB, as the key server has it."""
    server = subprocess.Popen([s.softsev, "kds", "--state", s.state, "--listen", "127.0.0.1:0",
                               "--json", "--quiet"], stdout=subprocess.PIPE)
    try:
        url = json.loads(server.stdout.readline())["url"]
        tcb = "blSPL=1&teeSPL=0&snpSPL=0&ucodeSPL=1"
        with urllib.request.urlopen(f"{url}/vlek/v1/Milan/hash_sticks?{tcb}",
                                    json.dumps({"hwids": [chip]}).encode(), TIMEOUT) as answer:
            return json.load(answer)["results"][0][chip]
    finally:
        server.terminate()
        server.communicate()


@quick
def the_certificates_of_a_report_are_those_of_its_tcb(s):
    folder = s.path("certificates")
    chip = json.loads(succeed(s, "status"))["id"]
    os.environ["STICK"] = hashstick(s, chip)
    want(s.command("platform", "certs", "--state", s.state, "--out", folder)[0] == 0,
         "softsev platform certs")
    answers = json.loads(succeed(s, "certificates", "--guest", s.write("guest.json", b"{}")))
    tcbs = set()
    for report, table in answers:
        report, table, names = bytes.fromhex(report), bytes.fromhex(table), []
        for at in range(0, len(table), 24):
            offset, size = struct.unpack_from("<II", table, at + 16)
            if not size:
                break
            names.append(s.write(f"certificate{at}", table[offset:offset + size]))
        tcbs.add(report[0x180:0x188])
        code, _, error = s.command("owner", "verify", "--report", s.write("report", report),
                                   "--certs", ",".join(names[:2]), "--root",
                                   os.path.join(folder, "ark.pem"))
        want(code == 0 and len(names) == 3, (code, error, names))
    want(len(answers) == 3 and len(tcbs) == 2, tcbs)
    want([struct.unpack_from("<I", bytes.fromhex(report), 0x48)[0] >> 2 & 7 for report,
          _ in answers] == [0, 0, 1], "who signed")
    code, _, error = s.command("with", "--state", s.state, "--guest", s.path("guest.json"), "--csp",
                               "", "--", "true")
    want(code == 2 and "--csp" in one_line(error), error)


@quick
def the_folder_of_reports_is_a_folder(s):
    os.environ["COPY"] = s.path("copy")
    os.environ["TMPDIR"] = s.path("temporary")
    os.mkdir(os.environ["TMPDIR"])
    succeed(s, "folder", "--guest", s.write("guest.json", b"{}"))
    want(os.path.getsize(s.path("copy")) == 1184, "the copy of a report")
    want(os.listdir(os.environ["TMPDIR"]) == [], "a temporary folder is left")
    del os.environ["TMPDIR"]


@quick
def a_guest_that_the_firmware_refuses_names_the_rule(s):
    for description, words in (('{"policy": "0x1"}', ("SNP_LAUNCH_START", "bit 17")),
                               ('{"policy": "0x3ff00"}', ("SNP_LAUNCH_START", "API"))):
        code, _, error = s.command("with", "--state", s.state, "--guest",
                                   s.write("refused.json", description.encode()), "--", "true")
        want(code == 5 and all(w in error for w in words), (description, code, error))


@quick
def no_trace_overwrites_what_the_guest_is_made_of(s):
    kernel = s.build("small", ".globl _start\n_start: hlt\n")
    with open(kernel, "rb") as f:
        before = f.read()
    for member, code in (("kernel", 2), ("firmware", 3)):
        guest = s.write("made.json", json.dumps({member: kernel}).encode())
        got, _, error = s.command("with", "--state", s.state, "--guest", guest, "--trace", "all",
                                  "--trace-file", kernel, "--", "true")
        want(got == code, (member, got, error))
        with open(kernel, "rb") as f:
            want(f.read() == before, "the file is another one")


@quick
def without_privilege(s):
    if os.getuid():
        raise Skip("it runs without privilege anyway")
    nobody = pwd.getpwnam("nobody")
    folder = s.path("nobody")
    os.chmod(s.folder, 0o755)
    os.makedirs(os.path.join(folder, "state"))
    for path in (s.softsev, os.path.abspath(__file__),
                 os.path.join(os.path.dirname(os.path.abspath(__file__)), "story.py")):
        shutil.copy(path, folder)
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    for path in (folder, os.path.join(folder, "state")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    done = subprocess.run([os.path.join(folder, "softsev"), "with", "--state",
                           os.path.join(folder, "state"), "--", python,
                           os.path.join(folder, "with.py"), "--program", "status"],
                           capture_output=True, timeout=TIMEOUT, check=False,
                          user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], cwd=folder)
    want(done.returncode == 0, done.stderr)
    want(json.loads(done.stdout)["uid"] == nobody.pw_uid, "it ran as somebody else")


@quick
def exit_codes_and_signals_are_the_programs(s):
    for command, code in ((["sh", "-c", "exit 42"], 42), (["true"], 0),
                          (["sh", "-c", "kill -9 $$"], 137), (["no-such-program"], 127)):
        got, _, error = s.command("with", "--state", s.state, "--", *command)
        want(got == code, (command, got, error))
    want("no-such-program" in one_line(error), error)
    process = subprocess.Popen([s.softsev, "with", "--state", s.state, "--", sys.executable,
                                os.path.abspath(__file__), "--program", "sleep"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    want(process.stdout.readline() == b"here\n", "the program did not start")
    # Meanwhile the state directory is taken.
    code, _, error = with_program(s, "status")
    want(code == 8 and "in use" in one_line(error), (code, error))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT)
    want(process.returncode == 128 + signal.SIGTERM, process.returncode)
    succeed(s, "status")  # nothing is left locked


def program_busy():
    device = Device(os.O_RDONLY)
    print("here", flush=True)
    while True:
        device.issue(PLATFORM_STATUS, bytes(12))


@quick
def a_signal_ends_a_program_whose_trace_nobody_reads(s):
    process = subprocess.Popen(
        [s.softsev, "with", "--state", s.state, "--trace", "all", "--", sys.executable,
         os.path.abspath(__file__), "--program", "busy"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        want(process.stdout.readline() == b"here\n", "the program did not start")
        time.sleep(1)  # the pipe is full long before
        process.send_signal(signal.SIGTERM)
        want(process.wait(10) == 128 + signal.SIGTERM, process.returncode)
    finally:
        process.kill()
        process.communicate()


@quick
def a_device_file_is_not_moved_away(s):
    """As root, mv made a node of its own in its place, of a number that is some device of the
    kernel's."""
    os.mkdir(s.path("moved"))
    for script in ('mv /dev/sev "$1/sev"', 'ln /dev/sev "$1/sev"',
            'touch "$1/mine"; mv "$1/mine" /dev/sev; rm "$1/mine"; test ! -e "$1/mine" && false'):
        code, _, error = s.command("with", "--state", s.state, "--", "sh", "-c", script, "sh",
                                   s.path("moved"))
        want(code == 1 and os.listdir(s.path("moved")) == [],
             (script, code, error, os.listdir(s.path("moved"))))
    code, _, error = s.command("with", "--state", s.state, "--", "sh", "-c",
            'echo x >"$1/a" && mv "$1/a" "$1/b" && ln "$1/b" "$1/c"', "sh", s.path("moved"))
    want(code == 0 and sorted(os.listdir(s.path("moved"))) == ["b", "c"], error)


@quick
def events_and_usage(s):
    path = s.path("events")
    succeed(s, "status", "--trace", "command,device", "--trace-file", path, "--json")
    with open(path, encoding="ascii") as f:
        events = [json.loads(line) for line in f]
    names = [e["event"] for e in events]
    want(all(n in names for n in ("SNP_INIT_EX", "INIT", "DOOR_OPEN", "PLATFORM_STATUS",
                                  "SNP_SHUTDOWN_EX")), names)
    for arguments, word in (([], "command"), (["--frob", "--", "true"], "--frob"),
                            (["--trace", "gossip", "--", "true"], "gossip"),
                            (["--seed"], "value")):
        code, _, error = s.command("with", *arguments)
        want(code == 2 and word in one_line(error), (arguments, code, error))
    code, out, _ = s.command("with", "--help")
    want(code == 0 and len(out.splitlines()) <= 24 and all(len(l) <= 80 for l in out.splitlines()),
         out)


if sys.argv[1] == "--program":
    globals()["program_" + sys.argv[2]]()
else:
    tell(a_program_finds_the_platform, the_platform_is_the_same_the_next_time,
         a_seed_gives_the_same_chip, a_part_without_snp_refuses_it, every_part_has_its_door,
         several_processes_share_it, the_certificates_of_a_report_are_those_of_its_tcb,
         the_folder_of_reports_is_a_folder, a_guest_that_the_firmware_refuses_names_the_rule,
         no_trace_overwrites_what_the_guest_is_made_of, without_privilege,
         exit_codes_and_signals_are_the_programs,
         a_signal_ends_a_program_whose_trace_nobody_reads,
         a_device_file_is_not_moved_away, events_and_usage)
