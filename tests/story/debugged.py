# SPDX-License-Identifier: Apache-2.0
"""A run that waits for a debugger, and Debian's gdb with a script for it."""
import json
import shutil
import subprocess
import threading

import story
from story import Skip


class Debugged:
    """`softsev COMMAND` with --gdb ADDRESS; `name` is where a debugger connects."""

    def __init__(self, s, command, address, *arguments):
        if not shutil.which("gdb"):
            raise Skip("gdb is missing (Debian: apt-get install gdb)")
        self.s, self.events, self.name, self.error = s, [], "", ""
        self.process = subprocess.Popen(
            ["timeout", str(story.TIMEOUT), s.softsev, command, "--json", "--clock", "virtual",
             "--gdb", address, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1].get("who") == "debugger":
                self.name = self.events[-1]["text"].split()[-1]
                break
        self.readers = [threading.Thread(target=reader, daemon=True)
                        for reader in (self.read_events, self.read_error)]
        for reader in self.readers:
            reader.start()

    def read_events(self):
        """A run whose output nobody reads waits."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def read_error(self):
        self.error = self.process.stderr.read().decode()

    def gdb(self, commands, program=None):
        begin = f"set confirm off\nset pagination off\ntarget remote {self.name}\n"
        script = self.s.write("commands", (begin + commands).encode())
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-x", script,
                               *([program] if program else [])],
                              capture_output=True, timeout=story.TIMEOUT, check=False,
                              stdin=subprocess.DEVNULL)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def end(self):
        self.process.wait(story.TIMEOUT)
        for reader in self.readers:
            reader.join()
        return self.process.returncode, self.error
