"""The command line: each command parses, calls one function and prints.

`harness.cli.commands` has them all.
"""

import os
import sys

from harness.cli.output import print_json
from harness.errors import Exit, HarnessError


def main() -> None:
    """Run the command line. The only place where a HarnessError is caught."""
    try:
        if sys.argv[1:2] == ["ls"]:  # what is typed most often need not wait for the other commands
            import harness.cli.ls
        else:
            import harness.cli.commands
        harness.cli.app.app()
    except HarnessError as error:
        _tell(error.message, error.hint)
        if "--json" in sys.argv:
            print_json("error", error=error.message, hint=error.hint, exit_code=int(error.exit_code))
        sys.exit(int(error.exit_code))
    except SystemExit as leaving:
        # Raised while typer handled what it could not parse: it has told people, programs are listening still.
        unparsed = getattr(leaving.__context__, "format_message", None)
        if unparsed is not None and "--json" in sys.argv:
            print_json("error", error=unparsed(), hint="", exit_code=leaving.code)
        raise
    except KeyboardInterrupt:
        sys.exit(130)  # as typer ends, and shells do
    except BrokenPipeError:  # `harness ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except OSError as error:  # of a file that nobody expected to fail: still no traceback
        _tell(
            f"{error.filename or 'a file'}: {error.strerror or error}",
            "check the disk's space and the folder's permissions",
        )
        sys.exit(Exit.FAILED)


def _tell(error: str, hint: str) -> None:
    print(f"error: {error}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


__all__ = ["main"]
