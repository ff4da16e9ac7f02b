"""What running programs expose to Prometheus, and whether everything that asks for it is right."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from cloud.domain.retention import Since
from cloud.services.figures import DatabaseFigures
from cloud.services.ingest import ingest
from cloud.storage.migrations import migrate
from cloud.storage.unit_of_work import Store
from common.clock import ManualClock, SystemClock
from common.messages.envelope import encode
from common.messages.uplink import DeviceStatus, Status
from tests.harness.cloud import CLOUD
from tests.harness.eventually import eventually
from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port
from tests.harness.processes import Programs
from tests.harness.says import STREAM, Gateway, catalog, power
from tests.repo.files import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
OPERATING = (ROOT / "docs" / "operating.md").read_text("utf-8")
METRICS = OPERATING.partition("\n## Metrics\n")[2].partition("\n## ")[0]
OURS = re.compile(r"\b(?:inmetter|process)_\w+")
PROMETHEUS_OWN = {"job", "instance", "le"}

Panels = list[dict[str, Any]]


@dataclass(frozen=True)
class Scraped:
    """What two programs answered: one with the web server, one that has none."""

    web: str
    ingest: str

    @property
    def families(self) -> list[Metric]:
        return [
            family
            for text in (self.web, self.ingest)
            for family in text_string_to_metric_families(text)
        ]


@pytest.fixture(scope="module")
def scraped(
    mariadb: MariaDb, mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("monitored")
    url, now_ms = mariadb.create_database("monitored"), SystemClock().now_ms()
    migrate(url)
    says = Gateway(now_ms=now_ms)
    status = Status(
        STREAM,
        online=True,
        boot=1,
        session=1,
        at=now_ms,
        queued=1,
        oldest_at=now_ms,
        hours_left=72,
        devices=[DeviceStatus("meter", "ok")],
    )
    store = Store(url)
    told = [says.hello(), says.batch(1, catalog(at=now_ms), power(now_ms, 5))]
    ingest(store, [*told, says.received("status", encode(status))], now_ms)
    store.run(lambda uow: uow.kept.move(Since(1, 1)))
    store.close()
    web, port = free_port(), free_port()
    config = folder / "cloud.toml"
    config.write_text(CLOUD.format(url=url, broker=mosquitto.port, web=web))

    def scrape(at: int) -> str:
        try:
            answer = httpx.get(f"http://127.0.0.1:{at}/metrics", timeout=10)
        except httpx.TransportError:
            return ""
        assert answer.status_code == 200
        return answer.text

    command = [sys.executable, "-m", "cloud", "--config", str(config)]
    with Programs(folder, forked=True) as programs:
        programs.add("ingest", *command, "ingest", "--metrics-port", str(port)).start()
        programs.add("web", *command, "web").start()
        for at in (port, web):
            eventually(lambda at=at: scrape(at), 40, "it is scraped")  # type: ignore[misc]
        eventually(lambda: 'connected{role="ingest"} 1.0' in scrape(port), 20, "connected")
        yield Scraped(scrape(web), scrape(port))


@pytest.fixture
def exposed(scraped: Scraped, sqlite_store: Store) -> dict[str, set[str]]:
    """Every name that a sample has, on a server's database or on SQLite, with its labels."""
    found: dict[str, set[str]] = {}
    for family in scraped.families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for one in DatabaseFigures(sqlite_store, ManualClock(0)).families():
        if one.samples:
            found.setdefault(one.name, set()).update(one.labels)
    return found


def test_what_is_scraped_is_well_formed_and_explained(scraped: Scraped) -> None:
    for text in (scraped.web, scraped.ingest):
        lines = text.splitlines()
        series = Counter(line.rpartition(" ")[0] for line in lines if not line.startswith("#"))
        assert [one for one, count in series.items() if count > 1] == []
        types = Counter(line.split()[2] for line in lines if line.startswith("# TYPE"))
        assert [one for one, count in types.items() if count > 1] == []
    for family in scraped.families:
        assert OURS.fullmatch(family.name), family.name
        assert len(family.documentation) > 10, family.name
        assert family.type in {"counter", "gauge", "histogram"}, family.name
        if family.type == "gauge":
            assert not family.name.endswith(("_total", "_created", "_count", "_sum")), family.name


def test_labels_are_few_and_no_register_is_among_them(scraped: Scraped) -> None:
    labels = {label for one in scraped.families for s in one.samples for label in s.labels}
    of_process = {"role", "route", "status", "why", "worker", "pool", "le"}
    assert labels <= of_process | {"gateway", "site", "state", "table", "data"}


def test_a_role_without_a_web_server_shows_its_own_and_asks_the_database_nothing(
    scraped: Scraped,
) -> None:
    assert "inmetter_ingest_held_messages 0.0" in scraped.ingest
    assert "inmetter_gateway_online" not in scraped.ingest
    assert 'inmetter_gateway_online{gateway="gw-1"}' in scraped.web
    assert "inmetter_ingest_held_messages" not in scraped.web


def dashboard(name: str = "inmetter") -> tuple[str, Panels]:
    text = (GRAFANA / f"{name}.json").read_text("utf-8")
    panels: Panels = json.loads(text)["panels"]
    return text, panels


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((GRAFANA / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in dashboard()[1] for target in panel.get("targets", ())]
    return asked + [rule["expr"] for rule in alerts()]


def test_what_dashboard_and_alerts_ask_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    for expression in expressions():
        names = set(OURS.findall(expression)) or set(re.findall(r"\bup\b", expression))
        assert names, expression
        assert names - exposed.keys() - {"up"} == set(), expression
        known = PROMETHEUS_OWN.union(*(exposed.get(name, ()) for name in names))
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        matched = [re.findall(r"(\w+)=", one) for one in re.findall(r"\{[^}]*\}", expression)]
        asked = {label.strip() for group in grouped for label in group.split(",")}
        assert asked.union(*matched) <= known, expression
        assert expression.count("(") == expression.count(")"), expression


def test_nearly_everything_exposed_is_on_the_dashboard_or_in_an_alert(
    exposed: dict[str, set[str]],
) -> None:
    asked = set(OURS.findall(" ".join(expressions())))
    unasked = {name for name in exposed if name.startswith("inmetter_")} - asked
    ends = ("_sum", "_count", "inmetter_ledger_gaps")
    assert [name for name in sorted(unasked) if not name.endswith(ends)] == []


def test_the_dashboard_has_its_rows_and_asks_the_data_source_that_is_chosen() -> None:
    text, panels = dashboard()
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == [
        "The promise", "Gateways", "Ingest", "Database", "API and process", "Alarms and commands"
    ]  # fmt: skip
    found = json.loads(text)
    assert found["schemaVersion"] >= 39
    variables = {one["name"]: one for one in found["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert set(re.findall(r'"uid": "([^"]+)"', text)) == {"${datasource}", "inmetter"}
    assert set(re.findall(r"\$(\w+)", text)) - {"__rate_interval", "__all"} <= variables.keys()


@pytest.mark.parametrize("name", sorted(file.stem for file in GRAFANA.glob("*.json")))
def test_no_panel_lies_on_another_and_each_has_an_id_of_its_own(name: str) -> None:
    panels = dashboard(name)[1]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    places = [(panel["title"], panel["gridPos"]) for panel in panels]
    for _, one in places:
        assert one["w"] > 0 and one["h"] > 0 and one["x"] >= 0 and one["x"] + one["w"] <= 24
    for (a, one), (b, other) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{a} lies on {b}"
    tops = [one["y"] for _, one in places]
    assert all(one <= other for one, other in pairwise(tops))


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert re.fullmatch(r"\d+m", rule.get("for", "0m"))
        assert rule["annotations"].keys() == {"summary", "action"}
        assert all(len(text) > 15 for text in rule["annotations"].values())


def test_the_document_names_every_metric_and_every_alert(
    scraped: Scraped, exposed: dict[str, set[str]]
) -> None:
    types = {family.name: family.type for family in scraped.families}
    histograms = {name for name, type_ in types.items() if type_ == "histogram"}
    parts = tuple(f"{name}_" for name in histograms)
    single = {name for name in exposed if name.startswith("inmetter_")}
    wanted = {name for name in single if not name.startswith(parts)} | histograms
    assert set(re.findall(r"`(inmetter_\w+)`", METRICS)) == wanted
    assert sorted(re.findall(r"`(InMetter\w+)`", METRICS)) == sorted(r["alert"] for r in alerts())


def test_the_documents_scrape_configuration_fits_the_alerts() -> None:
    [block] = re.findall(r"^```yaml\n(.*?)^```", METRICS, re.MULTILINE | re.DOTALL)
    found = yaml.safe_load(block)
    [job] = found["scrape_configs"]
    assert set(re.findall(r'job="([^"]*)"', " ".join(expressions()))) == {job["job_name"]}
    assert job.keys() == {
        "job_name", "scrape_interval", "scheme", "authorization", "static_configs"
    }  # fmt: skip
    assert found["rule_files"] == ["alerts.yml"]
