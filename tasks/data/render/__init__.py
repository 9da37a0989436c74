"""From messages to weighted tokens: one render through the chat template, its places proven, its turns supervised."""
