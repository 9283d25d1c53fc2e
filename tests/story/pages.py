#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The readers' pages, docs/for-*.md, played from top to bottom in one shell: each `$ command` must
print the lines that the page shows below it, in that order. Digests, ciphertext and numbers may be
others, `...` may be anything.

What the pages take for granted is there: `make run` has left its kernels, and Debian's ovmf package
its images. Commands of tools that are not installed are left out with the rest of their block.
"""
import atexit
import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from story import Skip, archive, slow, tell, want

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ("sevctl", "snphost", "snpguest", "curl", "gcc", "gdb", "cc", "python3", "openssl")
# of OUT; and the initramfs with the agent
FILES = ("vmlinuz", "initrd.cpio.gz", "vmlinuz-6.12", "oracles/OVMF.amdsev.fd",
         "oracles/OVMF_CODE.fd", "oracles/OVMF_VARS.fd")
PORT = "18081"  # which the pages use, and somebody else may
PATIENCE = 120  # seconds that a reader waits for what runs in the background


# --- A page -----------------------------------------------------------------------------------


class Command:
    def __init__(self, text):
        self.text, self.shown = text, []


def blocks(page):
    """(section, lines) of each indented block, its indent taken off."""
    section, block = 0, []
    with open(f"{TOP}/docs/{page}.md", encoding="utf-8") as f:
        lines = f.read().splitlines() + [""]
    for line in lines:
        if line.startswith("    "):
            block.append(line)
        elif block:
            margin = min(len(l) - len(l.lstrip()) for l in block)
            yield section, [l[margin:] for l in block]
            block = []
        section += line.startswith("## ")


def commands_of(lines):
    """The commands of a block with what each prints; what stands before the first is an excerpt of
    something else."""
    before, commands = [], []
    for line in lines:
        if commands and commands[-1].text.endswith("\\"):
            commands[-1].text = commands[-1].text[:-1] + line.strip()
        elif line.startswith("$ "):
            commands.append(Command(line[2:]))
        else:
            (commands[-1].shown if commands else before).append(line)
    return before, commands


def shape(line):
    line = re.sub(r"\b(0x)?[0-9a-f]{8,}\b", "#", line.replace("\r", "").strip())
    line = re.sub(r"\b0x[0-9a-f]+\b|\d+(\.\d+)*", "#", line)
    return re.sub(r"\s+", " ", line)


def pattern(line):
    return re.compile(".*".join(re.escape(shape(part)) for part in line.split("...")))


def find_in_order(shown, printed):
    """The first shown line that was not printed behind those before it, or None."""
    rest = iter([shape(line) for line in printed.splitlines()])
    for line in shown:
        if line.strip() and line.strip() != "..." and not any(pattern(line).search(p)
                for p in rest):
            return line
    return None


# --- A reader -----------------------------------------------------------------------------------


class Reader:
    """A shell in a folder of its own, which outlives the pages, as a reader's does."""

    def __init__(self, s):
        self.folder = s.path("reader")
        os.makedirs(self.folder, exist_ok=True)
        self.count = 0
        for name in FILES:
            os.symlink(f"{s.out}/{name}", os.path.join(self.folder, os.path.basename(name)))
        with open(f"{s.out}/initrd-6.12.cpio.gz", "rb") as stock, open(os.environ["SOFTSEV_AGENT"],
                "rb") as agent:
            more = gzip.compress(archive([("bin/softsev-agent", 0o100755, agent.read())]), 1,
                                 mtime=0)
            with open(os.path.join(self.folder, "initrd-6.12.cpio.gz"), "wb") as f:
                f.write(stock.read() + more)
        for name in os.listdir(f"{TOP}/examples"):
            shutil.copy(f"{TOP}/examples/{name}", self.folder)
        self.write("secret.txt", "thirty-two bytes for one guest..")
        programs = os.path.dirname(os.path.realpath(s.softsev))
        environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}",
                           SOFTSEV_STATE=os.path.join(self.folder, "state"),
                           PKG_CONFIG_PATH=os.path.join(programs, "meson-uninstalled"),
                           LD_LIBRARY_PATH=os.path.join(programs, "src/library"))
        self.shell = subprocess.Popen(["bash"], cwd=self.folder, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True,
                                      env=environment, start_new_session=True)
        atexit.register(os.killpg, self.shell.pid, signal.SIGKILL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def once(self, text, name):
        """Exit code, and how many programs are at work in the background."""
        self.shell.stdin.write(f"{{ {text}\n}} </dev/null >{name} 2>&1; echo $? $(jobs -r | wc "
                               f"-l)\n")
        self.shell.stdin.flush()
        answer = self.shell.stdout.readline().split()
        want(len(answer) == 2, ("the shell ended", text))
        return [int(word) for word in answer]

    def type(self, text):
        """Exit code, and a file of what was printed. While something runs in the background, what
        fails may come too early."""
        text = text.replace(PORT, self.port)
        self.count += 1
        name, end = f"printed.{self.count}", time.monotonic() + PATIENCE
        code, running = self.once(text, name)
        while code and running and time.monotonic() < end:
            time.sleep(0.3)
            code, running = self.once(text, name)
        return code, name

    def everything(self):
        names = [n for n in os.listdir(self.folder) if n.startswith("printed.")
                 or n.endswith(".txt")]
        return "\n".join(self.read(name) for name in names)

    def leave_section(self):
        """Servers are stopped, and who waits for a debugger or keeps a picture; guests are let come to
        their end."""
        self.once("kill '%?softsev kds' '%?--gdb-wait' '%?--view-keep'; wait", "waited")


reader = None


def take_files(lines):
    """A block that the reader saves, by what it is."""
    if lines[0].strip().startswith(".globl"):
        reader.write("tiny.S", "\n".join(lines) + "\n")
    elif lines[0].startswith("import "):
        reader.write("drive.py", "\n".join(lines) + "\n")
    elif lines[0].startswith(("A=", "export ")):
        for line in lines:
            reader.type(line)
    else:
        return False
    return True


def play_block(commands):
    """Commands in turn. Ends early at a tool that is missing."""
    for command in commands:
        missing = [t for t in TOOLS if re.search(rf"(^|[ ;|&]){t} ", command.text)
                   and not shutil.which(t)]
        if missing:
            return
        if " ... " in command.text:
            continue
        code, printed = reader.type(command.text)
        if command.text.rstrip().endswith("&"):
            command.shown, end = [pattern(l) for l in command.shown], time.monotonic() + PATIENCE
            while not all(any(p.search(shape(l)) for l in reader.read(printed).splitlines())
                          for p in command.shown):
                want(time.monotonic() < end, (command.text, reader.read(printed)[-600:]))
                time.sleep(0.2)
            continue
        want(code not in (126, 127), (f"$ {command.text}", reader.read(printed)[-900:]))
        lost = find_in_order(command.shown, reader.read(printed))
        want(lost is None, (f"$ {command.text}", f"did not print: {lost}",
                            reader.read(printed)[-900:]))


def play(s, page):
    global reader
    for path in (*(f"{s.out}/{name}" for name in FILES), os.environ.get("SOFTSEV_AGENT",
            "an agent")):
        if not os.path.exists(path):
            raise Skip(f"no {path}")
    reader = reader or Reader(s)
    last, excerpts = 0, []
    for section, lines in blocks(page):
        if section != last:
            reader.leave_section()
        last = section
        if take_files(lines):
            continue
        before, commands = commands_of(lines)
        play_block(commands)
        excerpts += before if not lines[0].startswith("{") else []
    reader.leave_section()
    printed = [shape(line) for line in reader.everything().splitlines()]
    for line in excerpts:
        want(any(pattern(line).search(p) for p in printed), f"nothing printed: {line}")


# In this order: later pages use what earlier ones have made.
@slow
def for_guest_owners(s):
    play(s, "for-guest-owners")


@slow
def for_kernel_and_firmware_authors(s):
    play(s, "for-kernel-and-firmware-authors")


@slow
def for_researchers(s):
    play(s, "for-researchers")


@slow
def for_teachers(s):
    play(s, "for-teachers")


@slow
def for_verifier_authors(s):
    play(s, "for-verifier-authors")


@slow
def for_vmm_authors(s):
    play(s, "for-vmm-authors")


tell(for_guest_owners, for_kernel_and_firmware_authors, for_researchers, for_teachers,
     for_verifier_authors, for_vmm_authors)
