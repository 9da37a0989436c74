"""From a raw row to messages or text: one file a row format, detected per row."""
