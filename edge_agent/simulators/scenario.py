"""The scenario file, from its text to a site that holds together."""

from pathlib import Path

from common.settings import load_toml
from edge_agent.simulators.entries import Mistakes, Scenario, Site
from edge_agent.simulators.layout import lay_out
from edge_agent.simulators.models import build_world

__all__ = ["Site", "load_site"]


def load_site(path: Path) -> Site:
    """The site of a scenario file. Raises ConfigError with file and key."""
    scenario = load_toml(path, Scenario)
    mistakes = Mistakes(path, scenario)
    return lay_out(path, scenario, build_world(scenario, mistakes), mistakes)
