"""End an attempt's processes when the harness is gone, killed or not: `python watchdog.py PGID MARK GRACE
PATHS < pipe`.

The harness holds the other end of the pipe. A byte means that all is done; an end without one, that nobody is
left to look after the child: it is asked to stop, and after GRACE seconds killed. It waits for a long time,
so it imports next to nothing until then. PATHS: where Python finds packages, as the harness does.
"""

import os
import signal
import sys
import time


def main() -> None:
    pgid, mark, grace, paths = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4]
    if os.read(0, 1):
        return
    sys.path[:0] = [__file__.rpartition("/")[0] + "/../..", *paths.split(os.pathsep)]
    from harness.run import processes

    processes.send(pgid, signal.SIGTERM)
    until = time.monotonic() + grace
    while time.monotonic() < until and processes.members(mark):
        time.sleep(0.1)
    processes.end(pgid, mark)


if __name__ == "__main__":
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    main()
