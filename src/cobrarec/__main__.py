"""`python -m cobrarec` is the command `cobrarec`."""

import sys

from cobrarec.cli import main

sys.exit(main())
