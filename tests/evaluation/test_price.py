"""What arrays cost agrees with what the token file says they cost."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.evaluation.price import Price


def test_bits_are_the_logarithms_of_the_codebook_sizes() -> None:
    price = Price({"spatial": [1024, 1024, 4096], "temporal": [256, 256, 3]})
    price.add({"spatial": np.zeros((2, 256, 3), np.uint16), "temporal": np.zeros((2, 1024, 3), np.uint16)})
    price.add({"spatial": np.zeros((1, 16, 3), np.uint16), "temporal": np.zeros((1, 0, 3), np.uint16)})
    assert (price.clips, price.tokens, price.indices) == (3, 2 * 1280 + 16, 3 * (2 * 1280 + 16))
    assert price.bits == pytest.approx(528 * (10 + 10 + 12) + 2048 * (8 + 8 + np.log2(3)))


def test_a_grid_holds_one_index_a_token() -> None:
    price = Price({"indices": [8192]})
    price.add({"indices": np.zeros((2, 5, 32, 32), np.uint16)})
    assert (price.clips, price.tokens, price.indices, price.bits) == (2, 10240, 10240, 10240 * 13)
