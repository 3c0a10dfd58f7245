"""`python -m lvlm_audit.cli`."""

import sys

from lvlm_audit.cli import main

sys.exit(main())
