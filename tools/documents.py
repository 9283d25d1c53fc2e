#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the program's own tables say: options, in docs/man/ and completions/; CPU models, in
docs/cpu-models.md.

usage: documents.py write|verify SOFTSEV TOP
A manual page has such a part between the lines `.\\" Begin: softsev documents man NAME` and `.\\"
End`. The page of a subcommand must have all options that its --help lists.
"""
import json
import os
import re
import subprocess
import sys

PART = re.compile(r'(\.\\" Begin: softsev (documents man [a-z-]+)\n)(?:.*?\n)??(\.\\" End\n)',
                  re.DOTALL)


MODELS = ("naples", "rome", "milan", "genoa", "turin", "max")
MODELS_TEXT = """# CPU models

What each model of `softsev run --cpu` shows in CPUID, feature by feature. `make docs` writes this
page from the table in `src/cpu/system/cpuid_features.def`, and a test compares them; `softsev
profiles --cpu NAME` prints one model with its registers.

- **yes**: the part has the feature, these cores implement it, and the model shows it.
- **exempt**: the part does not show it. The cores need no workaround for the weakness, so the model
  shows it unless `-exempt` follows its name: guests start sooner.
- **guest**: the cores lack the feature, and softsev's hypervisor does in software what it promises,
  so every guest sees it unless `-FEATURE` follows the model's name.
- **absent**: the part has it and these cores do not implement it, so the model hides it.

"""


def models(said):
    """The page of CPU models: a row for each feature, a column for each model."""
    shown, exempt, absent, added, where = {}, {}, {}, {}, {}
    for name in MODELS:
        model = json.loads(said(f"profiles --cpu {name} --json"))
        own = json.loads(said(f"profiles --cpu {name},-exempt --json"))
        shown[name] = {feature for leaf in model["leaves"] for feature in leaf["features"]}
        exempt[name] = shown[name] - {feature for leaf in own["leaves"]
                                      for feature in leaf["features"]}
        absent[name] = set(model["lacking"])
        added[name] = set(model["guest_adds"])
        for leaf in model["leaves"]:
            for feature in leaf["all"]:
                number = f"{leaf['leaf'] >> 16:04X}_{leaf['leaf'] & 0xffff:04X}"
                subleaf = f".{leaf['subleaf']}" if leaf["subleaf"] else ""
                where[feature] = f"{number}{subleaf} {leaf['register']}"
    lines = [f"| feature | CPUID | {' | '.join(MODELS)} |", "|---" * (len(MODELS) + 2) + "|"]
    for feature, place in where.items():
        cells = ["exempt" if feature in exempt[name] else "yes" if feature in shown[name]
                 else "absent" if feature in absent[name]
                 else "guest" if feature in added[name] else ""
                 for name in MODELS]
        lines.append(f"| {feature} | {place} | {' | '.join(cells)} |")
    return MODELS_TEXT + "\n".join(lines) + "\n"


def lacking(path, text, said):
    """The options that a subcommand's --help lists and its page does not have."""
    command = re.fullmatch(r"softsev-([a-z]+)\.1", os.path.basename(path))
    if not command:
        return []
    listed = re.findall(r"^ +--([a-z0-9-]+)", said(f"{command[1]} --help all"), re.MULTILINE)
    return [name for name in listed if not re.search(rf"^\.It Fl -{name}( |$)", text,
                                                     re.MULTILINE)]


def main():
    action, program, top = sys.argv[1:4]

    def said(words):
        return subprocess.run([program, *words.split()], text=True, capture_output=True,
                              check=True).stdout

    pages = [os.path.join(top, "docs/man", name) for name in sorted(os.listdir(os.path.join(top,
            "docs/man")))]
    wanted = {os.path.join(top, "completions/softsev"): said("documents completion"),
              os.path.join(top, "docs/cpu-models.md"): models(said)}
    for path in pages:
        with open(path, encoding="utf-8") as f:
            wanted[path] = PART.sub(lambda part: part[1] + said(part[2]) + part[3], f.read())
    old = []
    for path, text in wanted.items():
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                if f.read() == text:
                    continue
        old.append(path)
        if action == "write":
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    for path in pages:
        names = lacking(path, wanted[path], said)
        if names:
            sys.exit(f"{path}: has no --{', no --'.join(names)}, which --help lists")
    if action == "verify" and old:
        sys.exit(f"{', '.join(old)}: older than the program's options; make them anew: "
                 f"tools/documents.py write {program} {top}")


main()
