#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs what a build folder has built, or removes it again.

usage: install.py install|uninstall BUILD
    PREFIX of the environment is where; otherwise the build's own, /usr/local unless it was told.
    DESTDIR of the environment goes before every path, for packages.

`uninstall` removes the files that this build would install there, and the folders that are empty
then; files of anybody else stay.
"""
import json
import os
import shutil
import subprocess
import sys


def introspect(build, what):
    return json.loads(subprocess.run(["meson", "introspect", build, what], check=True, text=True,
                                     capture_output=True).stdout)


def set_prefix(build, prefix):
    options = introspect(build, "--buildoptions")
    if prefix and prefix != next(o["value"] for o in options if o["name"] == "prefix"):
        if not os.path.isabs(prefix):
            sys.exit(f"install: PREFIX '{prefix}' should be an absolute path")
        subprocess.run(["meson", "configure", build, f"-Dprefix={prefix}"], check=True)
        subprocess.run(["ninja", "-C", build], check=True, stdout=subprocess.DEVNULL)


def inside(destdir, path):
    return os.path.join(destdir, path.lstrip("/")) if destdir else path


def remove(path):
    """Removes a file, or a folder that is nobody else's: one called softsev, or in such a one."""
    if os.path.isdir(path) and not os.path.islink(path):
        if "softsev" in path.split("/")[-2:]:
            shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def prune(folder, stop):
    """Removes the folder and those that it is in, as long as they are empty."""
    while folder.startswith(stop.rstrip("/") + "/") and os.path.isdir(folder) and \
            not os.listdir(folder):
        os.rmdir(folder)
        folder = os.path.dirname(folder)


def uninstall(build, destdir):
    prefix = next(o["value"] for o in introspect(build, "--buildoptions") if o["name"] == "prefix")
    places = {inside(destdir, path) for path in introspect(build, "--installed").values()}
    for place in places:
        remove(place)
    for place in sorted(places, key=len, reverse=True):
        prune(os.path.dirname(place), inside(destdir, prefix))


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("install", "uninstall"):
        sys.exit(__doc__)
    action, build = sys.argv[1:]
    destdir = os.environ.get("DESTDIR", "")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        sys.exit(f"install: {build} is no build folder; `make build` or `meson setup {build}` "
                 "makes one")
    set_prefix(build, os.environ.get("PREFIX", ""))
    if action == "uninstall":
        uninstall(build, os.path.abspath(destdir) if destdir else "")
    else:
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], check=True)


main()
