"""The index of examples: an int64 row for each, in these columns.

The start and the stop of the example in its pool, its prompt's length, the line of its row, the digest of its row, the
number of its source in the split, and the checksum of its tokens in the pool.
"""

START, STOP, PROMPT, LINE, DIGEST, SOURCE, CHECK = range(7)
