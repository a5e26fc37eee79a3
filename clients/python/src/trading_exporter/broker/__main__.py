"""`python -m trading_exporter.broker`: the command without an installed script."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
