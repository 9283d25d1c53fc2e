# SPDX-License-Identifier: Apache-2.0
"""The version is the library's, as pkg-config tells it; the rest stands in pyproject.toml."""
import subprocess

from setuptools import setup

setup(
    version=subprocess.run(["pkg-config", "--modversion", "softsev"], check=True, text=True,
                           capture_output=True).stdout.strip(),
    cffi_modules=["build_native.py:ffi"],
)
