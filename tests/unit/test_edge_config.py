"""A configuration holds together, or every mistake in it is named."""

import re
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import ConfigError
from common.mqtt import MqttSettings
from edge_agent import config
from edge_agent.__main__ import main
from edge_agent.config import load
from edge_agent.devices import Devices
from tests.unit.edge_parts import NOW

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration-edge.md"
SECRET = "0123456789abcdef0123456789abcdef\n"


def example() -> str:
    """The complete example of the documentation."""
    matched = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert matched
    return matched[1]


def write(directory: Path, text: str) -> Path:
    """The configuration in a file, with its secrets beside it."""
    for name in ("mqtt.password", "cold-water.key", "electricity-sub.key"):
        (directory / name).write_text(SECRET)
    path = directory / "edge.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_documented_example_loads_and_makes_devices(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, example()))
    devices = Devices(loaded, ManualClock(NOW))
    assert list(devices.all) == [
        "cold-water",
        "electricity-sub",
        "electricity-main",
        "electricity-greenhouse",
    ]
    water = devices.modules["cold-water"]
    assert str(water.weight) == "1/100"
    assert water.start_index == 1204 + 35 * devices.modules["cold-water"].weight
    assert [register.key for register in water.registers if register.writable] == ["roof"]
    assert devices.modules["electricity-sub"].weight == 1
    assert loaded.database == tmp_path / "data" / "edge.db"
    assert loaded.mqtt
    assert loaded.mqtt.password_file == str(tmp_path / "mqtt.password")


def test_every_key_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    structs = [
        config.GatewaySettings,
        MqttSettings,
        config.ServerSettings,
        config.LineSettings,
        config.C11Settings,
        config.MbusSettings,
        config.ModbusSettings,
    ]
    for struct in structs:
        for field in struct.__struct_fields__:
            assert f"`{field}`" in text, f"{struct.__name__}.{field} is not documented"


WRONG = [
    ('id = "hall-1"', 'id = "Hall 1"', "gateway.id: it 'Hall 1' is not a key"),
    ('id = "hall-1"', "", "gateway: missing key `id`"),
    ('id = "hall-1"', 'id = "hall-1"\nidd = 1', "gateway: unknown key `idd`"),
    ("[mqtt]", "[mqttt]", "unknown key `mqttt`"),
    ("Europe/Bucharest", "Europe/Nowhere", "gateway.timezone: 'Europe/Nowhere'"),
    ("Europe/Bucharest", "../../etc/passwd", "gateway.timezone"),
    ("port = 1883", "port = 70000", "mqtt.port: 70000: expected 1 to 65535"),
    ("port = 1883", 'port = "x"', "mqtt.port: expected `int`, got `str`"),
    ("port = 7700", "port = -1", "c11do1eth.port: expected `int` >= 0"),
    ("mqtt.password", "no.password", "mqtt.password_file"),
    ("cold-water.key", "no.key", "device[1].key_file"),
    ('key = "electricity-sub"', 'key = "cold-water"', "device[2].key: 'cold-water' is taken"),
    ('id = "modbus"', 'id = "converter"', "line[2].id: 'converter' is taken"),
    ('line = "modbus"', 'line = "other"', "device[4].line: there is no [[line]] with the id 'oth"),
    ('line = "modbus"', 'line = "converter"', "line[1]: M-Bus and Modbus devices cannot share"),
    ("10 l", "10 kWh", "device[1].pulse_weight: '10 kWh' is not a number and a unit"),
    ("10 l", "0 l", "device[1].pulse_weight: '0 l': a pulse weight cannot be zero"),
    ("1204.35 m³", "-1 m³", "device[1].start_index"),
    ('medium = "cold_water"', 'medium = "beer"', "device[1].medium: 'beer': expected one of"),
    ('driver = "mbus"', 'driver = "sbus"', "device[3].driver: invalid value 'sbus'"),
    ('driver = "mbus"', "", "device[3]"),
    ("address = 1\n", "address = 255\n", "device[3].address: expected `int` <= 254"),
    ("address = 1\n", "address = 252\n", "device[3]: device electricity-main: address 252"),
    ("address = 1\n", "", "device[3]: expected either address (0 to 250) or secondary (12345678)"),
    ("address = 1\n", 'address = 1\nsecondary = "12345678"\n', "device[3]: expected either addr"),
    ("address = 1\n", 'secondary = "1234567F"\n', "device[3].secondary: '1234567F': expected 8"),
    ("address = 1\n", 'secondary = "12345678-INM"\n', "device[3].secondary: '12345678-INM'"),
    ("address = 1\n", 'address = 1\nkey_file = "no.key"\n', "device[3].key_file"),
    ("address = 1\n", 'address = 1\nkey_file = "edge.toml"\n', "expected the meter's key, 32"),
    ("timeout_s = 2.0", "retries = 11", "line[1].retries: expected `int` <= 10"),
    ("tcp://127.0.0.1:10001", "serial:///dev/x?baud=1", "device[3]: line 'serial:///dev/x?baud=1'"),
    ("mbus_electricity", "mbus_beer", "device[3]: profile 'mbus_beer' is not one of"),
    ("schneider_iem3000", "../secret", "device[4]: profile '../secret' is not one of"),
    ("interval_s = 10", "interval_s = 0", "device[3].interval_s: expected `float` > 0"),
    ("interval_s = 10", "interval_s = nan", "device[3].interval_s"),
    ("interval_s = 10", "interval_s = inf", "device[3].interval_s"),
    ("tcp://127.0.0.1:10001", "http://x", "device[3]: line 'http://x': expected tcp://HOST:PORT"),
    ("tcp://127.0.0.1:1502", "tcp://x:99999", "device[4]"),
    ('key = "roof"', 'key = "-"', "device[1].output.key"),
    ('"Roof panels"', f'"{"x" * 201}"', "device[1].output.name: expected `str` of length <= 200"),
    ('"closed"', f'"{"x" * 49}"', "device[1].output.states[1]: expected `str` of length <= 48"),
    ('"open"]', '""]', "device[1].output.states[2]: expected `str` of length >= 1"),
    ('"cold-water"', f'"{"x" * 49}"', "device[1].key: it 'xxx"),
    ('"Cold water"', f'"{"x" * 201}"', "device[1].name: expected `str` of length <= 200"),
    ('key = "roof"', 'key = "volume"', "device[1].output.key: 'volume' names a register"),
    ("[gateway]", "[gateway", "edge.toml: "),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_mistake_is_named_with_file_and_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    text = example()
    assert old in text
    path = write(tmp_path, text.replace(old, new, 1))
    assert main(["check", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert str(path) in shown.err
    assert message in shown.err
    assert "Traceback" not in shown.err


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = example().replace("10 l", "10 kWh").replace("port = 1883", "port = 0")
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, text.replace('line = "modbus"', 'line = "no"')))
    assert [line.split(": ")[1] for line in str(raised.value).splitlines()] == [
        "mqtt.port",
        "device[1].pulse_weight",
        "device[4].line",
    ]


def test_a_good_file_is_shown_as_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, example())
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr().out
    assert f"{path}: good" in shown
    assert re.search(r"electricity-main +mbus +mbus_electricity +tcp:", shown)
    assert not (tmp_path / "data").exists(), "a check must not start anything"


@pytest.mark.parametrize("command", ["check", "run", "read"])
def test_a_file_that_is_not_there_is_told_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, str(tmp_path / "none.toml")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_secrets_are_in_no_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, example())
    (tmp_path / "cold-water.key").write_text("tooshort\n")
    assert main(["check", str(path)]) == 2
    assert "tooshort" not in capsys.readouterr().err


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["fly"], ["check"], ["check", "x.toml", "--nonsense"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
