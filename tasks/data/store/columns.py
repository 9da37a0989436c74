"""The index of examples: an int64 row for each, in these columns.

Where the example starts and stops in its pool, its prompt's length, the line of its row, the digest of its row, which
of the split's sources it came from, and the checksum of what stands in the pool.
"""

START, STOP, PROMPT, LINE, DIGEST, SOURCE, CHECK = range(7)
