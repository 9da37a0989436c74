"""Tokens on disk: the cache, the workers that fill it, its shards and what is counted on the way."""
