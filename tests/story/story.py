# SPDX-License-Identifier: Apache-2.0
"""What the stories share: the program, the stock guest, a folder to work in, and TAP for what came
of it.

A story is a function of one Story; it raises if the program did not do what it should. Stories boot
stock kernels unless marked `@quick`; those marked `@slow` are left out where boots are slow
(SOFTSEV_STORY=few: under sanitizers).
"""
import functools
import gzip
import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile

APPEND = "console=ttyS0 panic=-1 cryptomgr.notests"
SECRET = b"the owner's word: " + hashlib.sha256(b"story").hexdigest().encode() + b"\n"
SECRET_WORD = SECRET[18:50]  # what must be nowhere
TIMEOUT = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "240"))
# The beginning of a small guest: it writes its `text` to the serial port.
SAY_TEXT = """
    .globl _start
_start:
    lea text(%rip), %rsi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:
"""
FEW = os.environ.get("SOFTSEV_STORY") == "few"


def quick(story):
    """Needs no stock guest."""
    story.quick = True
    return story


def slow(story):
    """Boots more than once; not for sanitizers."""
    story.slow = True
    return story


class Skip(Exception):
    pass


class Story:
    def __init__(self, softsev, out, folder):
        self.softsev, self.out, self.folder = softsev, out, folder
        self.state = self.path("state")
        self.secret = self.path("secret")
        self.kernel, self.initrd = f"{out}/vmlinuz", f"{out}/initrd.cpio.gz"
        self.write("secret", SECRET)
        os.environ["XDG_CACHE_HOME"] = self.path("cache")  # of runs from a seed that keep no state

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def command(self, *arguments, data=None, env=None):
        """softsev ARGUMENTS: exit code, output, error text."""
        streams = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run([self.softsev, *arguments], capture_output=True, timeout=TIMEOUT,
                              check=False,
                              env={**os.environ, **(env or {})}, **streams)
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")

    def run(self, *arguments, state=None, data=None):
        """softsev run ARGUMENTS --json: exit code, events, error text. Machine time does not follow
        the wall unless the arguments say so: a limit then means the same on a busy computer."""
        if "--clock" not in arguments:
            arguments += ("--clock", "virtual")
        code, out, error = self.command("run", "--json", "--state", state or self.state, *arguments,
                                        data=data)
        return code, [json.loads(line) for line in out.splitlines()], error

    def linux(self, mode, *more, initrd=None, append="", **options):
        return self.run("--kernel", self.kernel, "--initrd", initrd or self.initrd, "--append",
                        f"{APPEND} {append}".strip(),
                        "--memory", "512", "--mode", mode, *more, **options)

    # --- Guests of our own ---

    def build(self, name, source, wide=True, address="0x200000"):
        """Assembles and links a freestanding guest; `wide` is ELF64."""
        text = self.write(name + ".S", source.encode())
        size = "--64" if wide else "--32"
        subprocess.run(["as", size, "-o", text + ".o", text], check=True)
        subprocess.run(["ld", "-m", "elf_x86_64" if wide else "elf_i386", "--build-id=none", "-z",
                        "noexecstack", "-Ttext", address,
                        "-o", self.path(name), text + ".o"], check=True)
        return self.path(name)

    def initrd_with(self, name, init, files=()):
        """The stock guest's initramfs with another /init, and files behind it as later archives."""
        path = self.path(name)
        with open(self.initrd, "rb") as f:
            stock = f.read()
        with open(path, "wb") as f:
            f.write(stock)
            f.write(gzip.compress(archive([("init", 0o100755, init.encode()), *files]), 1, mtime=0))
        return path


def archive(entries):
    """A newc cpio archive of (name, mode, content)."""
    out = b""
    for inode, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        raw = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return out


# --- Reading what was printed ---


def console(events, vm="vm1"):
    return "".join(e["text"] for e in events if e["event"] == "console" and e["vm"] == vm)


def steps(events, who):
    return " / ".join(e["text"] for e in events if e["event"] == "step" and e["who"] == who)


def summary(events):
    return events[-1]


def occurs(path, *words):
    """Which of the words are in the file."""
    if not os.path.getsize(path):
        return []
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        return [w for w in words if m.find(w) >= 0]


def want(condition, what):
    if not condition:
        raise AssertionError(what)


def one_line(error):
    """The error, without what a new state directory says of itself."""
    lines = [l for l in error.splitlines() if "takes a few" not in l]
    want(len(lines) == 1, ("one line was wanted", error))
    return lines[0]


# --- Telling ---


def tell(*stories):
    """usage: NAME.py SOFTSEV OUT    OUT is the folder that tools/fetch-guest.sh filled"""
    softsev, out = sys.argv[1:3]
    chosen = sys.argv[3:]
    stories = [s for s in stories if s.__name__ in chosen or (not chosen
            and not (FEW and hasattr(s, "slow")))]
    failed = False
    print(f"1..{len(stories)}")
    with tempfile.TemporaryDirectory(prefix="softsev-story-") as folder:
        for number, story in enumerate(stories, 1):
            line = functools.partial("{1}ok {0} - {2}{3}".format, number)
            name = story.__name__.replace("_", " ")
            if not hasattr(story, "quick") and not os.path.exists(f"{out}/vmlinuz"):
                print(line("", name, f" # SKIP no guest in {out}: tools/fetch-guest.sh gets one"),
                      flush=True)
                continue
            try:
                story(Story(softsev, out, folder))
                print(line("", name, ""), flush=True)
            except Skip as why:
                print(line("", name, f" # SKIP {why}"), flush=True)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError,
                    IndexError) as problem:
                failed = True
                text = f"{type(problem).__name__}: {problem}" + "".join("\n" + str(getattr(problem,
                        s, b"") or "")[-1200:] for s in ("stdout", "stderr"))
                print(line("not ", name, "") + "".join(f"\n# {l}"
                        for l in text[:2000].splitlines()), flush=True)
    sys.exit(1 if failed else 0)
