"""Edits of results on disk within seconds, offered back after a crash."""
