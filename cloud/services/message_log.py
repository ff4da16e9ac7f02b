"""The messages of one transaction of ingest, to be written down with what they brought.

Hellos and batches are. A status is not: it brings nothing that is stored but itself, the newest one
is kept with its gateway, and there would be more of them than of all else. What cannot be taken
apart is in quarantine.
"""

from cloud.services.parcels import BatchParcel, HelloParcel
from cloud.storage.messages import NewMessage


class MessageLog:
    """Collects them. Begun anew when the transaction is tried again."""

    def __init__(self) -> None:
        self.messages: list[NewMessage] = []

    def hello(self, gateway_id: int, parcel: HelloParcel, outcome: str) -> None:
        source, stream = parcel.source, parcel.hello.stream
        self.messages.append(
            NewMessage(
                source.received_at_ms,
                gateway_id,
                "hello",
                stream,
                None,
                None,
                outcome,
                source.payload,
            )
        )

    def batch(self, gateway_id: int, parcel: BatchParcel, outcome: str) -> None:
        """A message that is taken entry by entry is written down when it is taken as a whole."""
        source = parcel.source
        if not parcel.is_part:
            self.messages.append(
                NewMessage(
                    source.received_at_ms,
                    gateway_id,
                    "journal",
                    parcel.stream,
                    parcel.first,
                    parcel.last,
                    outcome,
                    source.payload,
                )
            )
