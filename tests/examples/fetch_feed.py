#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks fetch_feed against a server on the loopback address: a page, and what can go wrong."""

import http.server
import os
import re
import threading

import example

PAGE = b"<rss>" + b"x" * 31404 + b"</rss>"
LINE = re.compile(r"Got data of length: (\d+) in just (\d+\.\d{3}) s")


class Handler(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"not a thousand bytes")
        elif self.path == "/feed":
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


def direct_env():
    """The environment without proxies: the server is on this machine."""
    return {name: value for name, value in os.environ.items()
            if not name.lower().endswith("_proxy")}


def check_failure(arguments, status, *texts):
    done = example.run(*arguments, env=direct_env())
    problems = []
    if done.returncode != status:
        problems.append(f"{arguments}: exit status {done.returncode}, not {status}")
    problems += [f"{arguments}: {text!r} is not in {done.stderr!r}" for text in texts
                 if text not in done.stderr]
    if done.stdout:
        problems.append(f"{arguments}: printed {done.stdout!r}")
    return problems


# RX-001, RX-004: the third call is on a pool of processes.
def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"

    done = example.run(base + "/feed", env=direct_env())
    problems = example.ended_well(done)
    lines = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
    if len(lines) != 3 or not all(line and int(line.group(1)) == len(PAGE) for line in lines):
        problems.append(f"expected three lines with the length {len(PAGE)}, got {done.stdout!r}")
    if Handler.asked != ["/feed", "/feed", "/feed"]:
        problems.append(f"the server was asked for {Handler.asked}")

    problems += check_failure([base + "/nothing"], 1, base + "/nothing", "404")
    problems += check_failure([base + "/short"], 1, base + "/short")
    problems += check_failure(["nonsense://127.0.0.1/"], 1, "nonsense")
    problems += check_failure([], 2, "usage: fetch_feed URL")
    problems += check_failure(["a", "b"], 2, "usage: fetch_feed URL")
    server.shutdown()
    server.server_close()
    problems += check_failure([base + "/feed"], 1, base + "/feed")
    return problems


if __name__ == "__main__":
    example.finish(main())
