"""What the kernel says of its clock."""

from pathlib import Path

from edge_agent.kernel import ask_clock, this_kernel


def test_a_boot_is_the_same_for_every_start_of_the_agent() -> None:
    assert this_kernel().boot == this_kernel().boot != ""
    assert this_kernel().synchronised() is ask_clock().synchronised


def test_where_the_kernel_names_no_boot_each_start_is_one(tmp_path: Path) -> None:
    nowhere = tmp_path / "boot_id"
    assert this_kernel(nowhere).boot != this_kernel(nowhere).boot
