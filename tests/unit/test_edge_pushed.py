"""What the cloud pushes: admitted or refused with the reason, compared, kept, and when it runs."""

import stat
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import ConfigError
from common.messages.uplink import ConfigStatus, RefusedConfig
from edge_agent.config import Config, load, parse
from edge_agent.differences import differences
from edge_agent.pushed import FILE, Kept, Pushed, admit, decide, load_kept, save_kept
from tests.unit.edge_parts import NOW
from tests.unit.test_edge_config import SECRET, example, write

CLOCK = ManualClock(NOW)
MORE = """
[[device]]
driver = "modbus"
key = "chiller"
name = "Chiller"
line = "modbus"
unit = 2
profile = "abb_b23"
"""


@pytest.fixture
def own(tmp_path: Path) -> Config:
    """The gateway's own file, with its data directory."""
    config = load(write(tmp_path, example()))
    config.database.parent.mkdir()
    return config


def keep(own: Config, kept: Kept) -> None:
    save_kept(own, kept)


def kept_since_start(own: Config) -> Kept:
    """Nothing from the cloud; the file as it is now."""
    return decide(own.path, CLOCK).kept


CHANGES = [
    ("keep_days = 30", "keep_days = 60", ["gateway.keep_days 30 → 60"]),
    ('host = "127.0.0.1"\nport = 1883', "port = 1884", ["mqtt.port 1883 → 1884"]),
    ("idle_s = 120", "idle_s = 60", ["c11do1eth.idle_s 120.0 → 60.0"]),
    (":10001", ":10002", ["line converter: url tcp://127.0.0.1:10001 → tcp://127.0.0.1:10002"]),
    (
        '"open"] }',
        '"ajar"] }',
        ['device cold-water: output.states ["closed","open"] → ["closed","ajar"]'],
    ),
    ("log_period_s = 900\n", "", []),
    ("# ", "", []),
]


@pytest.mark.parametrize(("old", "new", "said"), CHANGES)
def test_a_difference_is_said_in_words(own: Config, old: str, new: str, said: list[str]) -> None:
    changed = parse(example().replace(old, new), own.path, 1)
    assert differences(own.settings, changed.settings) == said


def test_devices_and_lines_that_come_and_go_are_named(own: Config) -> None:
    line = '[[line]]\nid = "roof"\nurl = "tcp://127.0.0.1:9"\n'
    more = parse(example() + MORE + line, own.path, 1)
    there = differences(own.settings, more.settings)
    assert there == ["line roof is new", "device chiller is new"]
    back = differences(more.settings, own.settings)
    assert back == ["line roof is gone", "device chiller is gone"]


def test_a_good_push_is_admitted_with_the_paths_of_the_gateway(own: Config) -> None:
    config = admit(Pushed(3, example() + MORE), own, CLOCK)
    assert (config.version, config.database) == (3, own.database)
    assert config.settings.device[-1].key == "chiller"


REFUSALS = [
    ('id = "hall-1"', 'id = "hall-2"', "gateway.id: 'hall-2': is 'hall-1' here and cannot"),
    (
        'data_dir = "data"',
        'data_dir = "elsewhere"',
        "gateway.data_dir: 'elsewhere': is 'data' here",
    ),
    ('line = "modbus"', 'line = "nowhere"', "there is no [[line]] with the id 'nowhere'"),
    ("schneider_iem3000", "no_such_profile", "no_such_profile"),
    ("keep_days = 30", "keep_days = ", "Invalid value"),
    ("keep_days = 30", "keep_dais = 30", "gateway: unknown key `keep_dais`"),
    ("cold-water.key", "new.key", "device[1].key_file"),
    ("electricity-sub.key", "../elsewhere.key", "device[2].key_file: ../elsewhere.key: is neither"),
    ("keep_days = 30", f"keep_days = {'[' * 5000}", "nested too deeply"),
]


@pytest.mark.parametrize(("old", "new", "reason"), REFUSALS)
def test_what_cannot_run_here_is_refused_with_the_reason(
    own: Config, old: str, new: str, reason: str
) -> None:
    (own.path.parent.parent / "elsewhere.key").write_text(SECRET)
    with pytest.raises(ConfigError) as refused:
        admit(Pushed(1, example().replace(old, new)), own, CLOCK)
    assert reason in str(refused.value)
    assert all(
        line.startswith("version 1 from the cloud: ") for line in str(refused.value).splitlines()
    )


def test_a_push_cannot_cut_the_gateway_off(own: Config) -> None:
    head, _, rest = example().partition("[mqtt]")
    without = head + rest[rest.index("[c11do1eth]") :]
    with pytest.raises(ConfigError, match="mqtt: without it nothing could be changed"):
        admit(Pushed(1, without), own, CLOCK)


def test_what_is_kept_survives_and_is_for_the_agent_alone(own: Config) -> None:
    kept = Kept("0" * 64, Pushed(3, "a"), Pushed(4, "b"), RefusedConfig(2, "no"))
    keep(own, kept)
    assert load_kept(own) == kept
    file = own.database.with_name(FILE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"{")
    assert load_kept(own) == Kept()


def test_the_last_good_one_runs_instead_of_the_file(own: Config) -> None:
    kept = kept_since_start(own)
    keep(own, Kept(kept.own, good=Pushed(3, example() + MORE)))
    start = decide(own.path, CLOCK)
    assert (start.config.version, len(start.config.settings.device)) == (3, 5)
    assert start.kept.status == ConfigStatus(3)
    assert not start.news


def test_a_file_that_was_changed_wins_and_the_push_is_not_taken_again(own: Config) -> None:
    keep(own, Kept(kept_since_start(own).own, good=Pushed(3, example() + MORE)))
    own.path.write_text(example().replace("keep_days = 30", "keep_days = 31"))
    start = decide(own.path, CLOCK)
    assert (start.config.version, start.config.settings.gateway.keep_days) == (0, 31)
    assert start.kept.newest == 3
    assert start.kept.status.version == 0
    assert start.kept.status.refused
    assert "edge.toml was changed on the gateway" in start.kept.status.refused.reason
    assert [event.code for event in start.news] == ["config_local"]
    keep(own, start.kept)
    assert not decide(own.path, CLOCK).news


def test_a_trial_that_the_agent_did_not_outlive_has_failed(own: Config) -> None:
    digest = kept_since_start(own).own
    keep(own, Kept(digest, good=Pushed(3, example()), candidate=Pushed(4, example() + MORE)))
    start = decide(own.path, CLOCK)
    assert start.config.version == 3
    assert start.kept.status.refused == RefusedConfig(
        4, "the agent ended before its trial was over"
    )
    assert [event.code for event in start.news] == ["config_rolled_back"]


def test_a_push_that_does_not_hold_together_any_more_gives_way_to_the_file(own: Config) -> None:
    keep(
        own,
        Kept(
            kept_since_start(own).own,
            good=Pushed(3, example().replace("cold-water.key", "gone.key")),
        ),
    )
    start = decide(own.path, CLOCK)
    assert start.config.version == 0
    assert start.kept.status.refused
    assert "gone.key" in start.kept.status.refused.reason
    assert [event.code for event in start.news] == ["config_refused"]


def test_an_older_refusal_does_not_hide_a_newer_one() -> None:
    kept = Kept(good=Pushed(3, "x")).refuse(5, "new").refuse(3, "old")
    assert kept.refused == RefusedConfig(5, "new")
    assert kept.good is None
