"""Which computer this is: by what stays when its card is copied."""

from pathlib import Path

from edge_agent.machine import machine_id


def computer(root: Path, *, board: str = "", addresses: dict[str, str] | None = None) -> Path:
    if board:
        file = root / "sys/firmware/devicetree/base/serial-number"
        file.parent.mkdir(parents=True)
        file.write_text(board + "\0", "utf-8")
    for place, address in (addresses or {}).items():
        device = root / "sys/devices" / place
        (device / "device").mkdir(parents=True)
        (device / "address").write_text(address + "\n", "utf-8")
        interfaces = root / "sys/class/net"
        interfaces.mkdir(parents=True, exist_ok=True)
        (interfaces / device.name).symlink_to(device)
    return root


def test_boards_are_told_apart_and_the_same_board_stays_the_same(tmp_path: Path) -> None:
    one = computer(tmp_path / "1", board="10000000abcd", addresses={"soc/eth0": "aa:1"})
    same = computer(tmp_path / "2", board="10000000abcd", addresses={"soc/eth0": "aa:2"})
    other = computer(tmp_path / "3", board="10000000abce")
    assert machine_id(one) == machine_id(same) != machine_id(other)
    assert len(machine_id(one)) == 16


def test_without_a_serial_number_the_built_in_interfaces_tell(tmp_path: Path) -> None:
    one = computer(tmp_path / "1", addresses={"pci/eth0": "aa:1"})
    dongle = computer(tmp_path / "2", addresses={"pci/eth0": "aa:1", "pci/usb1/eth1": "bb:1"})
    other = computer(tmp_path / "3", addresses={"pci/eth0": "aa:2"})
    assert machine_id(one) == machine_id(dongle) != machine_id(other)


def test_what_tells_nothing_is_unknown(tmp_path: Path) -> None:
    assert machine_id(tmp_path) == ""
    assert machine_id(computer(tmp_path, addresses={"pci/usb1/eth1": "bb:1"})) == ""
