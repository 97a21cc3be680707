"""Packed token files: tokens entropy-coded, and nothing lost."""
