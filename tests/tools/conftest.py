"""The benchmarks import each other by their file names, as they do when they run as programs."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools/benchmarks"))
