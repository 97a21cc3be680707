"""Groups that names tell of."""

from __future__ import annotations

import pytest

from sweettok_cli.data.groups import group_of, ucf101


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("Biking/v_Biking_g10_c02.avi", "Biking_g10"),
        ("Biking/v_Biking_g10_c03.avi.npz", "Biking_g10"),
        ("Biking/v_Biking_g10_c03.avi.mp4.npz", "Biking_g10"),
        ("fight/owner+repo__003.mp4", "owner+repo"),
        ("noFight/owner+repo__041.swt", "owner+repo"),
        ("fight/clip.mp4", "fight/clip"),
        ("noFight/clip.mp4", "noFight/clip"),
        ("fight/v_1.2.mov", "fight/v_1.2"),
    ],
)
def test_groups_are_told_by_name(name: str, group: str) -> None:
    assert group_of(name) == group
    assert ucf101(name) == (("Biking", "Biking_g10") if "Biking" in name else None)
