"""`python -m nbtransfer`."""

import sys

from nbtransfer.cli import main

sys.exit(main())
