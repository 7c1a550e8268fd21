"""Handwriting: letters drawn once become joined cursive (online cursive generation by trace transformation)."""
