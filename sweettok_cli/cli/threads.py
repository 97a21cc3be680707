"""Threads that do not get in each other's way. What is set here is read once, when the library loads."""

from __future__ import annotations

import os


def let_waiting_threads_sleep() -> None:
    """Before torch loads: its OpenMP threads sleep while they wait, unless the caller's environment differs.

    A video's decoding threads share the processor with the network's; those that spin while they wait take
    its time from the others (5 times slower on two busy cores).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_one_blas_thread() -> None:
    """Before NumPy loads: its products run on the thread that asks, unless the caller's environment differs.

    Those behind SSIM are too small to share out, and several threads measure at once; OpenBLAS's own threads
    would spin while they wait for each other.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
