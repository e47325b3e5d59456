"""TinyBERT Lite: distil a BERT teacher into a small student, in five visible stages."""

import os
import sys

__version__ = "0.1.0"

# As the environment gives it: that of Jupyter's kernels, see the doctor.
WAIT_POLICY = os.environ.get("OMP_WAIT_POLICY", "")
# `python -m tinybert_lite.…` reads this file before torch: its threads then give up the core while
# they wait, so that two runs can share a machine. An import by another program changes nothing.
if sys.argv[:1] == ["-m"] and any("tinybert_lite" in argument for argument in sys.orig_argv):
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
