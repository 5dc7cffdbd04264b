"""ranx, which metrics are checked against, compiles for most of a minute before it computes forty numbers."""

import numba

numba.config.DISABLE_JIT = True  # before ranx is imported: its functions then run as plain Python
