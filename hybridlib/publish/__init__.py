"""Notebooks behind a strict door, and the pages of the book."""
