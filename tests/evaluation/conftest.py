"""Lets the folders below import ``measuring``."""
