"""A dispatcher that keeps what it is given."""

from cloud.services.commands import Publication


class KeepingDispatcher:
    """Ready or not, as the test says; ``sent`` is what was handed to it."""

    def __init__(self, *, ready: bool = True) -> None:
        self.ready = ready
        self.sent: list[Publication] = []

    def send(self, publication: Publication) -> None:
        """Keep it."""
        self.sent.append(publication)
