"""The cloud's configuration: what is wrong is named by file and key."""

import re
from pathlib import Path

import pytest

from cloud.config import DATABASE_URL, load
from common.errors import ConfigError

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration-cloud.md"

RULE = """
[[rule]]
name = "{name}"
source = {{ gateway = "gw", device = "meter", register = "power" }}
above = "{above}"
below = "{below}"
output = {{ gateway = "{gateway}", device = "module", register = "roof" }}
"""


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATABASE_URL, raising=False)


def write(folder: Path, text: str) -> Path:
    path = folder / "cloud.toml"
    path.write_text(text, "utf-8")
    return path


def rule(name: str = "r", above: str = "2", below: str = "1", gateway: str = "gw") -> str:
    return RULE.format(name=name, above=above, below=below, gateway=gateway)


def test_the_documented_example_is_right(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found
    secret = "mysql+pymysql://cloud:secret@127.0.0.1/inmetter"
    (tmp_path / "database.url").write_text(secret + "\n")
    (tmp_path / "storage.secret").write_text("signs\n")
    config = load(write(tmp_path, found[1]))
    assert config.database_url == secret
    assert config.storage_secret == "signs"
    assert not config.migrate
    assert config.sessions == tmp_path / "sessions"
    assert config.settings.mqtt.password_file == str(tmp_path / "mqtt.password")
    assert config.settings.outward and config.settings.outward.mqtt
    assert config.settings.outward.mqtt.password_file == str(tmp_path / "outward.password")
    assert [one.name for one in config.settings.rule] == ["Roof by the hall's power"]


def test_an_embedded_database_lies_beside_the_file_and_migrates_by_itself(tmp_path: Path) -> None:
    config = load(write(tmp_path, '[database]\nurl = "sqlite:///cloud.db"\n'))
    assert config.database_url == f"sqlite:///{tmp_path / 'cloud.db'}"
    assert config.migrate
    assert len(config.storage_secret) >= 32


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_URL, "mysql+pymysql://other/x")
    config = load(write(tmp_path, '[database]\nurl = "sqlite:///cloud.db"\n'))
    assert config.database_url == "mysql+pymysql://other/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "database.url: missing"),
        ('[database]\nurl = "a"\nurl_file = "b"\n', "either url or url_file"),
        ('[database]\nurl_file = "absent"\n', "cannot read the secret"),
        ('[database]\nurl = "x"\ncolour = 1\n', "database: unknown key"),
        ('[database]\nurl = "x"\n[web]\nport = 0\n', "web.port"),
        ('[database]\nurl = "x"\n[ingest]\ngroup = "a/b"\n', "ingest.group"),
        ("[retention]\nreadings_months = 12\nhours_months = 6\n", "retention.hours_months: less"),
        ("[retention]\nhours_months = 6\n", "retention.hours_months: less than readings_months"),
        ("[retention]\nevents_days = -1\n", "retention.events_days"),
        (rule(above="1", below="1"), r"rule\[1\].below: 1 is not less than above"),
        (rule(above="1.0", below="1.00"), r"rule\[1\].below"),
        (rule(above="10", below="9"), "database.url"),
        (rule(above="1e3"), r"rule\[1\].above: '1e3' is not an exact decimal"),
        (rule(below="NaN"), r"rule\[1\].below"),
        (rule() + rule(), r"rule\[2\].name: 'r' stands twice"),
        (rule(gateway="Hall 1"), r"rule\[1\].output: gateway 'Hall 1' is not a key"),
        ("[", "cloud.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        load(write(tmp_path, text))
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('prefix = "inmetter"', "outward: inmetter/ is the gateways'"),
        ('discovery_prefix = "inmetter/v1"', "outward: inmetter/ is the gateways'"),
        ('prefix = "homeassistant/mill"', "outward.prefix: begins as discovery_prefix does"),
        ('prefix = "#"', "outward.prefix: "),
        ('prefix = ""', "outward.prefix: "),
        ("every_s = 0", "outward.every_s: "),
    ],
)
def test_what_is_said_to_others_may_not_meet_what_gateways_say(
    tmp_path: Path, line: str, said: str
) -> None:
    path = write(tmp_path, f'[database]\nurl = "sqlite:///cloud.db"\n[outward]\n{line}\n')
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(path)


def test_others_are_told_nothing_unless_it_is_configured(tmp_path: Path) -> None:
    assert (
        load(write(tmp_path, '[database]\nurl = "sqlite:///cloud.db"\n')).settings.outward is None
    )
