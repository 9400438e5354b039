"""How a driver and the benchmark take turns: ready, go, done, end."""

import json
import os
import sys
import time

SITE, SPACE, OUT = os.environ.get("SITE", ""), os.environ.get("SPACE", ""), os.environ["OUT"]
EMAIL, TOKEN = os.environ.get("EMAIL", ""), os.environ.get("TOKEN", "")


def keep(page_id, text):
    """Hands a page over: what any caller does with it at the least."""
    with open(os.path.join(OUT, f"{page_id}.md"), "w", encoding="utf-8", newline="") as f:
        f.write(text)


def run(work):
    """Does the work when it is told to, and says how long that took."""
    say, sys.stdout = sys.stdout, sys.stderr  # a peer's own words must not get between
    print("ready", file=say, flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    error = ""
    try:
        work()
    except BaseException as e:  # also what a peer ends itself with
        error = f"{type(e).__name__}: {e}"
    print("done " + json.dumps({"seconds": time.perf_counter() - began, "error": error}), file=say, flush=True)
    sys.stdin.readline()
