"""``inmetter-edge doctor``: what is wrong with this gateway, and what to do about it."""

import asyncio
from argparse import ArgumentParser, Namespace
from pathlib import Path

from common.clock import SystemClock
from common.errors import ConfigError
from edge_agent.cli.findings import show
from edge_agent.doctor import Finding, Verdict, check_data, check_host, check_network
from edge_agent.pushed import instead, running


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", help="the configuration file (TOML)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    """Look at everything, write nothing; 1 when something is bad. A broken file is a finding."""
    path: Path | None = arguments.config
    findings = list(check_host(SystemClock().now_ms()))
    if path is not None:
        try:
            config = running(path)
        except ConfigError as error:
            findings += [
                Finding("configuration", Verdict.BAD, line, "correct the file")
                for line in str(error).splitlines()
            ]
        else:
            text = f"{config.name} holds together{instead(config)}"
            findings.append(Finding("configuration", Verdict.GOOD, text))
            findings += check_data(config)
            findings += asyncio.run(check_network(config))
    return show(findings, as_json=arguments.json)
