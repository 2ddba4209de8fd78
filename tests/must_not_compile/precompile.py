#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Precompiles a header for check.py: COMPILER INCLUDE HEADER OUTPUT DEPFILE."""

import pathlib
import subprocess
import sys

from check import FLAGS

compiler, include, header, output, depfile = sys.argv[1:]
# g++ takes X.gch where X is included, so X has to be there too.
including = pathlib.Path(output).with_suffix("")
including.write_text(f"#include <{header}>\n")
sys.exit(subprocess.run([compiler, *FLAGS, "-I", include, "-x", "c++-header", str(including), "-o",
                         output, "-MD", "-MF", depfile, "-MT", output], check=False).returncode)
