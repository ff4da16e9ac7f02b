"""With faults on: what the world consumed is what the cloud has, and each difference has a name."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.eventually import eventually
from tests.harness.site import GATEWAY, SiteFiles
from tests.system.plant import Plant

FAULTS = """
[[fault]]
kind = "reset"
on = "cold-water"
at = "9s"

[[fault]]
kind = "rollover"
on = "hot-water"
at = "10s"

[[fault]]
kind = "power_cut"
on = "gas"
at = "8s"
for = "4s"

[[fault]]
kind = "exchange"
on = "electricity-hall"
at = "10s"
start = 77_000

[[fault]]
kind = "reset"
on = "electricity-main"
at = "11s"

[[fault]]
kind = "corrupt"
on = "mbus1"
at = "2s"
for = "2s"

[[fault]]
kind = "stale"
on = "modbus1"
at = "3s"
for = "2s"

[[fault]]
kind = "garbage"
on = "cold-water"
at = "3s"
for = "1s"

[[fault]]
kind = "network_down"
on = "all"
at = "15s"
for = "2s"
"""

EXPECTED = {
    "cold-water": {"reset"},
    "hot-water": {"rollover"},
    "gas": {"power cut"},
    "electricity-hall": {"exchange"},
    "electricity-main": {"reset"},
}


class FaultySite(SiteFiles):
    """The site of the other tests, where much goes wrong."""

    def write(self) -> "FaultySite":
        super().write()
        text = self.scenario.read_text()
        hot = 'device = "hot-water"\n'
        assert hot in text
        text = text.replace(hot, hot + "modulus = 1_000_000\n")
        self.scenario.write_text(text + FAULTS)
        return self


@pytest.mark.timeout(120)
def test_every_difference_between_the_world_and_the_cloud_has_a_name(plant: Plant) -> None:
    """Three hours of the world in twenty seconds; every kind of fault that costs counts."""
    plant.site = FaultySite(plant.site.directory, plant.link.port, turns_s=20)
    plant.start_cloud()
    plant.start_site()
    eventually(lambda: plant.site.truth()["at_ms"] > _end_ms(plant.site), 60, "the world's end")
    books: dict[str, Any] = eventually(lambda: _balanced(plant), 40, "every difference explained")
    for device, names in EXPECTED.items():
        found = {one["name"] for one in books[device]["differences"]}
        assert names <= found, f"{device}: {books[device]}"
        assert float(books[device]["consumed"]) > 0
    assert float(_amount(books["gas"], "power cut")) > 0
    shown = check(plant).stdout
    assert len([line for line in shown.splitlines() if line.endswith("good")]) == len(EXPECTED)


def _end_ms(site: SiteFiles) -> int:
    return site.scenario.stat().st_mtime_ns // 1_000_000 + int(site.turns_s * 1000) + 1000


def _balanced(plant: Plant) -> dict[str, Any]:
    """The books by device once all of them balance."""
    done = check(plant, "--json")
    assert done.returncode == 0, done.stdout
    return {one["device"]: one for one in json.loads(done.stdout)}


def check(plant: Plant, *more: str) -> subprocess.CompletedProcess[str]:
    """The command that a person uses."""
    token: Path = plant.cloud.directory / "token"
    token.write_text(plant.cloud.token + "\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "edge_agent", "simulate", str(plant.site.scenario)),
            *("--truth", str(plant.site.truth_file), "--check", plant.cloud.address),
            *("--gateway", GATEWAY, "--token-file", str(token), *more),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in {0, 1}, done.stderr
    assert not done.stderr, done.stderr
    return done


def _amount(books: dict[str, Any], name: str) -> str:
    return str(next(one["amount"] for one in books["differences"] if one["name"] == name))
