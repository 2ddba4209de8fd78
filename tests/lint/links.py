#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the relative links of README.md and of every page below docs/.

A link must lead to a file or folder of this project, and its anchor to a heading of that page. A
page below docs/ must be reachable from README.md, so that nothing is written for nobody. Links to
other hosts are not looked at.
"""

import pathlib
import re
import sys
import tempfile

CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(\s*<?([^)\s>]*)>?[^)]*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def pages(root):
    readme = root / "README.md"
    return [page for page in [readme, *sorted((root / "docs").rglob("*.md"))] if page.exists()]


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    found = {}
    for heading in HEADING.findall(FENCED.sub("", text)):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return {slug if number == 0 else f"{slug}-{number}"
            for slug, count in found.items() for number in range(count)}


def links(text):
    """[(target, line)] of everything that is not code."""
    blank = CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)
    return [(match.group(1), blank.count("\n", 0, match.start()) + 1)
            for pattern in (LINK, REFERENCE) for match in pattern.finditer(blank)]


def check(root):
    root = root.resolve()
    found, reached = [], {}
    for page in pages(root):
        place = page.relative_to(root)
        for target, line in links(page.read_text()):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = target.partition("#")
            goal = (page.parent / path).resolve() if path else page
            if path.startswith("/") or not goal.is_relative_to(root):
                found.append(f"{place}:{line}: {target}: leads out of the project")
            elif not goal.exists():
                found.append(f"{place}:{line}: {target}: there is no such file")
            elif anchor and (goal.suffix != ".md" or anchor not in anchors(goal.read_text())):
                found.append(f"{place}:{line}: {target}: there is no such heading")
            else:
                reached.setdefault(page, set()).add(goal)
    seen, left = set(), [root / "README.md"]
    while left:
        page = left.pop()
        if page not in seen:
            seen.add(page)
            left.extend(reached.get(page, ()))
    for page in pages(root):
        if page not in seen:
            found.append(f"{page.relative_to(root)}: no chain of links from README.md leads here")
    return found


SAMPLES = [
    # files, what must be found, or None
    ({"README.md": "# A\n[b](docs/b.md) [c](docs/b.md#two-words) [d](#a) [e](docs) [f](src/x.c)",
      "docs/b.md": "# `Two` words\n[up](../README.md#a) <https://x.y/z>", "src/x.c": ""}, None),
    ({"README.md": "[b](docs/b.md)", "docs/b.md": "```\n[x](nothing.md)\n```\n`[y](z)` \\[z](q)"},
     None),
    ({"README.md": "[b](https://a.b/c.md) [m](mailto:a@b.c)"}, None),
    ({"README.md": "# A\n# A\n[one](#a) [two](#a-1)"}, None),
    ({"README.md": "text\n[b](docs/b.md)"}, "README.md:2: docs/b.md: there is no such file"),
    ({"README.md": "[b]: docs/b.md"}, "there is no such file"),
    ({"README.md": "[b](docs/b.md#three)", "docs/b.md": "# Two"}, "there is no such heading"),
    ({"README.md": "[b](docs/b.md#two)", "docs/b.md": "```\n# Two\n```"},
     "there is no such heading"),
    ({"README.md": "[b](#b)"}, "there is no such heading"),
    ({"README.md": "[b](x.c#b)", "x.c": "# b"}, "there is no such heading"),
    ({"README.md": "[b](/etc/passwd)"}, "leads out of the project"),
    ({"README.md": "[b](../b.md)"}, "leads out of the project"),
    ({"README.md": "no link", "docs/b.md": "# B"}, "docs/b.md: no chain of links"),
]


def self_test():
    failures = []
    for files, expected in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
            got = check(pathlib.Path(folder))
            if (expected is None and got) or (
                    expected is not None and not any(expected in line for line in got)):
                failures.append(f"{files}: expected {expected}, got {got}")
    return failures


if __name__ == "__main__":
    problems = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
