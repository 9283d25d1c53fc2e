# SPDX-License-Identifier: Apache-2.0
"""Chromium without a screen, by its own protocol over two pipes: goes to a page, clicks, types, and
tells what stands there."""
import base64
import json
import os
import select
import shutil
import subprocess
import time

KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Enter": 13, "Escape": 27}
PATIENCE = 60


class Browser:
    @staticmethod
    def program():
        return shutil.which("chromium") or shutil.which("chromium-browser")

    def __init__(self, folder, width=1400, height=1000, dark=False):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        def place():  # the descriptors that the protocol has
            high = os.dup(to_read), os.dup(to_write)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [self.program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking",
             "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=place, pass_fds=(3, 4), close_fds=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.number, self.rest, self.session = 0, b"", None
        self.problems = []  # errors of scripts, and what the page's policy has stopped
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setScrollbarsHidden", hidden=True)
        self.ask("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.back)

    def message(self, until):
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], max(0, until - time.time()))[0]:
                raise AssertionError("Chromium does not answer")
            part = os.read(self.back, 1 << 20)
            if not part:
                raise AssertionError("Chromium has ended")
            self.rest += part
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def note(self, message):
        method, what = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(what["exceptionDetails"].get("exception", {}).get("description"))
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.problems.append(what["entry"]["text"] + " " + what["entry"].get("url", ""))

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.time() + PATIENCE
        while True:
            answer = self.message(until)
            if answer.get("id") != self.number:
                self.note(answer)
            elif "error" in answer:
                raise AssertionError((method, answer["error"]))
            else:
                return answer["result"]

    # --- What a person does and sees ---

    def go(self, url):
        self.ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && document.body")

    def value(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True,
                          awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError((expression, result["exceptionDetails"]))
        return result["result"].get("value")

    def text(self, selector):
        return self.value(f"document.querySelector({json.dumps(selector)}).textContent")

    def wait(self, condition):
        until = time.time() + PATIENCE
        while not self.value(f"Boolean({condition})"):
            if time.time() > until:
                raise AssertionError(f"never: {condition}")
            time.sleep(0.05)

    def click(self, selector, x=None, y=None):
        box = self.value(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
                         "e.scrollIntoView({block: 'center'}); "
                         "const b = e.getBoundingClientRect(); "
                         "return [b.left, b.top, b.width, b.height]; })()")
        at = {"x": box[0] + (box[2] / 2 if x is None else x),
              "y": box[1] + (box[3] / 2 if y is None else y)}
        for what in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=what, button="left", clickCount=1, **at)

    def key(self, key, shift=False):
        for what in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=what, key=key, modifiers=8 if shift else 0,
                     windowsVirtualKeyCode=KEYS.get(key, ord(key[0].upper())),
                     **({"text": key} if len(key) == 1 and what == "keyDown" else {}))

    def screenshot(self, path, whole=True):
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
