"""The command line: `nbtransfer COMMAND` or `python -m nbtransfer COMMAND`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nbtransfer.commands.tree import HelpShown, as_json, execute
from nbtransfer.errors import InputError, NbTransferError

INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Carry out one command. 0: done; 1: a run failed or something is wrong here; 2: the words or the input were."""
    try:
        args, outcome = execute(sys.argv[1:] if words is None else words)
        print(as_json(outcome) if args.json else outcome.text)
    except HelpShown:
        return 0
    except NbTransferError as error:
        print(f"nbtransfer: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("\nno longer watching; runs go on in the background (stop one with `nbtransfer stop`)", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0 if outcome.ok else 1
