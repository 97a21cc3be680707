"""One process that trains twice, as a notebook does."""

from __future__ import annotations

from sweettok_cli.training.processes import join


def test_a_second_run_in_one_process_may_have_another_precision() -> None:
    for precision in ("bf16", "fp32", "bf16"):
        accelerator, resolved = join(precision, unused_parameters=False)
        assert resolved == precision
        assert accelerator.mixed_precision == ("bf16" if precision == "bf16" else "no")
