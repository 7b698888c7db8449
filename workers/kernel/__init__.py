"""Compiled loops over whole batches: PNG and archives' headers, outside the GIL. Compiled once, see `compiling`."""

from workers.kernel.compiling import keep_compiled_code

# Before the first kernel is defined: each asks then where its compiled code lies.
keep_compiled_code()
