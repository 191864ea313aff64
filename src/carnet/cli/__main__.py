"""`python -m carnet.cli`: the `carnet` command where its script is not on the path."""

import sys

from carnet.cli import main

sys.exit(main())
