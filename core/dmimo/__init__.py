"""Uplink distributed MIMO: what joint, distributed and soft-bit combining of several radios buy, and what they cost."""
