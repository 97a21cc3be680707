"""Damaged and hostile files of every kind that we read, each made from a seed and a number: see __main__."""
