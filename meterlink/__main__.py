"""`python -m meterlink`."""

import sys

from meterlink.cli.main import main

sys.exit(main())
