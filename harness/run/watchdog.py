"""End an attempt's processes when the harness is gone, killed or not: `python watchdog.py PGID MARK GRACE < pipe`.

The harness holds the other end of the pipe. A byte says that all is done; an end without one, that nobody is left to
look after the child: it is asked to stop, and after GRACE seconds killed. Imports next to nothing: it waits a long time.
"""

import os
import signal
import sys
import time


def main() -> None:
    pgid, mark, grace = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    if os.read(0, 1):
        return
    sys.path.insert(0, __file__.rpartition("/")[0] + "/../..")
    from harness.run import processes

    processes.send(pgid, signal.SIGTERM)
    until = time.monotonic() + grace
    while time.monotonic() < until and processes.is_alive(pgid, mark):
        time.sleep(0.1)
    processes.end(pgid, mark)


if __name__ == "__main__":
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    main()
