"""From a raw row to messages, text or token ids: one file for each row format, detected row by row."""
