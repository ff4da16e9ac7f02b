"""Scenario files: a mistake is named with its file and key."""

from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import ConfigError
from edge_agent.simulators.port import parse_address
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "scenario.toml"
TEXT = DEMO.read_text("utf-8")

MISTAKES = [
    ("pace = 60", "pace = 61", r"source\[2\]\.pace: expected a divisor"),
    ("pace = 60", "paces = 60", r"source\[2\]: unknown key `paces`"),
    ('series = "uk_gas"', 'series = "fr_gas"', r"source\[2\]\.series: 'fr_gas' is not one of"),
    ('key = "climate"', 'key = "hall"', r"source: two sources have the same key"),
    ('medium = "gas"', 'medium = "gaz"', r"meter\[3\]\.medium: 'gaz' is not a medium"),
    ('"hall", "climate"', '"hall", "x"', r"meter\[4\]\.sources: there is no source 'x'"),
    ("weight = 1\n", "weight = 0\n", r"c11do1eth\[2\]\.weight"),
    ('"127.0.0.1:10001"', '"127.0.0.1"', r"mbus\[1\]\.listen: '127.0.0.1' is not HOST:PORT"),
    ("address = 1\n", "address = 251\n", r"mbus\[1\]\.address: expected 0 to 250"),
    ('"20417733"', '"2041773"', r"mbus\[1\]\.identification: expected 8 digits"),
    ("unit = 1\n", "unit = 0\n", r"modbus\[1\]\.unit: expected 1 to 247"),
    ("schneider_iem3000", "nobody_1", r"modbus\[1\]\.profile: profile 'nobody_1'"),
    ('meter = "electricity-greenhouse"', 'meter = "x"', r"modbus\[1\]\.meter: there is no meter"),
    ("T00:00:00Z", "T00:00:00", r"origin: expected a time with its zone"),
    ('seed = "hall-and-greenhouse"', "seed = 7", r"seed: "),
    ('device = "hot-water"', 'device = "gas"', r"c11do1eth: two devices have the same name"),
    ('device = "gas"', 'device = "electricity-main"', r"mbus: 'electricity-main' names another"),
    ("pace = 60", 'from = "1 hour"', r"source\[2\]\.from: '1 hour': expected 90s, 5min or 2h"),
    ("pace = 60", 'from = "2026-01-05T00:00:00"', r"source\[2\]\.from: expected a time with its"),
    ("pace = 60", 'from = "2h"\nuntil = "1h"', r"source\[2\]\.until: '1h' is before it begins"),
    ("start = 312_770", "count = -1", r"meter\[2\]\.count: expected 0 to 10000"),
    (
        "start = 312_770",
        'standstill = [{from = "1h"}]',
        r"meter\[2\]\.standstill\[1\]: missing",
    ),
    (
        "weight = 1\n",
        "weight = 1\ncount = 3\n",
        r"c11do1eth\[2\]\.state_file: expected \{n\}",
    ),
    ("address = 1\n", "address = 240\ncount = 20\n", r"mbus\[1\]\.address: expected 0 to 250"),
    ("address = 1\n", "address = 1\ntelegrams = 0\n", r"mbus\[1\]\.telegrams: expected 1 to 8"),
    ("address = 1\n", 'address = 1\nmanufacturer = "x"\n', r"mbus\[1\]\.manufacturer: expected"),
    ("unit = 1\n", "unit = 240\ncount = 20\n", r"modbus\[1\]\.unit: expected 1 to 247"),
    ('"127.0.0.1:1502"', '"127.0.0.1:10001"', r"modbus\[1\]\.listen: M-Bus meters listen there"),
    ('"127.0.0.1:1502"', '"udp:127.0.0.1"', r"modbus\[1\]\.listen: 'udp:127.0.0.1' is not HOST"),
]

FAULTS = [
    ('kind = "dorp"', r"fault\[1\]: 'dorp': expected one of drop, delay, split"),
    ('on = "nobody"', r"fault\[1\]\.on: 'nobody': expected one of mbus1, modbus1, cold-water"),
    ('at = "soon"', r"fault\[1\]\.at: 'soon': expected 90s, 5min or 2h after the origin"),
    ('for = "10"', r"fault\[1\]\.for: '10': expected a duration such as 10s"),
    ("ms = 5", r"fault\[1\]: ms: drop takes no parameters"),
    ('kind = "busy"', r"fault\[1\]\.on: busy happens to a device, not to a line"),
    ('kind = "rollover"\non = "gas"', r"fault\[1\]\.on: rollover needs the modulus"),
    ("colour = 1", r"fault\[1\]: unknown key `colour`"),
]


@pytest.mark.parametrize(("wrong", "message"), FAULTS)
def test_a_mistake_in_a_fault_is_named_too(tmp_path: Path, wrong: str, message: str) -> None:
    lines = dict(line.split(" = ", 1) for line in wrong.split("\n"))
    right = {"kind": '"drop"', "on": '"mbus1"', "at": '"10s"', "for": '"5s"'}
    table = "\n".join(f"{key} = {value}" for key, value in (right | lines).items())
    path = tmp_path / "scenario.toml"
    path.write_text(f"{TEXT}\n[[fault]]\n{table}\n", "utf-8")
    with pytest.raises(ConfigError, match=message):
        load_site(path)


def test_a_rollover_comes_before_all_other_changes_of_a_counter(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    tables = "".join(
        f'\n[[fault]]\nkind = "{kind}"\non = "electricity-main"\nat = "{at}"\n'
        for kind, at in (("reset", "10s"), ("rollover", "20s"))
    )
    path.write_text(TEXT + tables, "utf-8")
    with pytest.raises(ConfigError, match="comes before its other counter faults"):
        load_site(path)


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_named_with_file_and_key(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in TEXT
    path = tmp_path / "scenario.toml"
    path.write_text(TEXT.replace(right, wrong, 1), "utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_site(path)
    assert str(path) in str(caught.value)


def test_a_module_without_its_key_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(TEXT, "utf-8")
    with pytest.raises(ConfigError, match=r"cold-water\.key"):
        SimulatedSite(load_site(path), ManualClock(0))


def test_time_lapse_and_wire_use_the_same_modules(tmp_path: Path) -> None:
    """Two weeks in a moment: the count that a later process goes on from is the world's."""
    path = tmp_path / "scenario.toml"
    path.write_text(TEXT, "utf-8")
    for key in ("cold-water", "hot-water", "gas"):
        (tmp_path / f"{key}.key").write_text("a secret of the module\n")
    site = load_site(path)
    clock = ManualClock(site.world.meters["gas"].timeline.origin_ms)
    before = SimulatedSite(site, clock)
    module = before.modules["gas"]
    module.power_up()
    for _ in range(14 * 24):
        clock.advance(3600)
        record = module.core.record(clock.now_ms())
    module.save()
    assert record.total == site.world.meters["gas"].pulses(clock.now_ms(), 10_000) > 100_000
    after = SimulatedSite(site, clock).modules["gas"]
    after.power_up()
    assert after.core.record(clock.now_ms()).total == record.total
    assert after.core.record(clock.now_ms()).boot == record.boot + 1


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:x", "host:65536", "host:-1"])
def test_an_address_needs_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_address(text)
