#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Precompiles, for check.py, the foreign headers that siding's public headers include.

    precompile.py COMPILER INCLUDE OUTPUT DEPFILE
"""

import pathlib
import re
import subprocess
import sys

from check import FLAGS

compiler, include, output, depfile = sys.argv[1:]
headers = sorted(pathlib.Path(include).rglob("*.hpp"))
foreign = sorted({name for header in headers
                  for name in re.findall(r"^#include <([^>]+)>", header.read_text(), re.MULTILINE)
                  if not name.startswith("siding/")})
source = "".join(f"#include <{name}>\n" for name in foreign)
pathlib.Path(depfile).write_text(f"{output}: {' '.join(map(str, headers))}\n")
sys.exit(subprocess.run([compiler, *FLAGS, "-x", "c++-header", "-", "-o", output], input=source,
                        text=True, check=False).returncode)
