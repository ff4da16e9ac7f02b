"""Certificates made by openssl for one test: an authority, and a server on 127.0.0.1."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness.services import find_program

NAME = "/CN=communication server"
EXTENSIONS = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files in ``directory``; ``issue`` writes the server's two anew."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def server(self) -> Path:
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        return self.directory / "server.key"

    def issue(self, serial: int = 1, days: int = 2) -> None:
        """A certificate for 127.0.0.1 from this authority, with a new key. It ends in ``days``."""
        new, new_key = self.directory / "new.pem", self.directory / "new.key"
        request, extensions = self.directory / "request.pem", self.directory / "extensions"
        extensions.write_text(EXTENSIONS)
        openssl("req", *KEY, "-keyout", new_key, "-out", request, "-subj", NAME)
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.directory / "ca.key"),
            *("-set_serial", str(serial), "-days", str(days), "-extfile", extensions, "-out", new),
        )
        new_key.replace(self.key)
        new.replace(self.server)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_certificates(directory: Path) -> Certificates:
    """A new authority and a server's certificate. Without openssl the test is skipped, in CI
    failed."""
    find_program("openssl")
    directory.mkdir(parents=True)
    made = Certificates(directory)
    openssl(
        *("req", "-x509", *KEY, "-keyout", directory / "ca.key", "-out", made.ca),
        *("-days", "2", "-subj", f"/CN={directory.name} authority"),
    )
    made.issue()
    return made


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
