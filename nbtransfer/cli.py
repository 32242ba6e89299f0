"""The command line: `nbtransfer COMMAND` or `python -m nbtransfer COMMAND`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nbtransfer.commands.tree import HelpShown, as_json, execute
from nbtransfer.errors import InputError, NbTransferError

INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 0: success; 1: a run, an image or this environment failed; 2: invalid words or input."""
    try:
        args, outcome = execute((sys.argv[1:] if words is None else words) or ["help"])
        print(as_json(outcome) if args.json else outcome.text)
    except HelpShown:
        return 0
    except NbTransferError as error:
        text = str(error)
        print(text if text.startswith("nbtransfer") else f"nbtransfer: {text}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("\nno longer watching; runs continue in the background (stop one with `nbtransfer stop`)", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0 if outcome.ok else 1
