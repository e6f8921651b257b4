"""The command line: parse, call one function, print. Results on stdout, everything else on stderr.

Exit codes: 0; 1 our fault; 2 what was given cannot be used; 3 the machine's disk or memory; 130 interrupted, can be resumed;
143 the same by SIGTERM.
"""

import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from cobrarec import __version__
from cobrarec.errors import Interrupted, MachineError, UserError
from cobrarec.training.interruption import Terminated, sigterm_interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to the process's own."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if words == ["--version"]:
        print(f"cobrarec {__version__}")
        return 0
    try:
        with sigterm_interrupts():
            return _run(words)
    except UserError as error:
        return _fail(2, str(error), debug)
    except MachineError as error:
        return _fail(3, str(error), debug)
    except (Interrupted, KeyboardInterrupt) as error:
        by_sigterm = isinstance(error, Terminated) or isinstance(error.__context__, Terminated)
        return _fail(143 if by_sigterm else 130, f"{str(error) or 'Interrupted.'} {_way_on(words)}", debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # everything that is left is a fault of ours
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return _fail(1, f"This is our fault, not yours: {what}. Run it again with --debug and report what it prints.", debug)


def _run(words: list[str]) -> int:
    from cobrarec.cli.parsing import parse  # in here, so that Ctrl-C while it loads is caught like any other

    command = parse(words)
    from cobrarec.cli.screen import Screen
    from cobrarec.run_folder import machine_limits

    with machine_limits(), Screen() as screen:
        command.run(screen)
    sys.stdout.flush()
    return 0


def _fail(code: int, text: str, debug: bool) -> int:
    if debug:
        traceback.print_exc(file=sys.stderr)
    print(f"cobrarec: {text}", file=sys.stderr)
    return code


def _way_on(words: list[str]) -> str:
    resumable = words[:1] in (["fit"], ["train"])
    again = words if not resumable or "--resume" in words else [*words, "--resume"]
    return f"Go on with: {shlex.join(['cobrarec', *again])}"
