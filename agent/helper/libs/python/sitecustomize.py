"""Python reads this before a script: output appears line by line, as on a terminal.

A pipe's output would be held back until 8 KB are there. PYTHONUNBUFFERED would
write each piece of a print() by itself: slow, and torn between the two streams.
"""

import sys

try:
    sys.stdout.reconfigure(line_buffering=True)
except (AttributeError, ValueError):  # no stdout, or one that is not text
    pass
