"""Two ingest workers get the same batch at the same moment."""

import pytest

from tests.harness.eventually import eventually
from tests.system.plant import Plant
from tests.system.played_gateway import PlayedGateway

ROUNDS = 20
COPIES = 6


@pytest.mark.timeout(120)
def test_a_batch_that_two_workers_get_at_once_is_stored_once(plant: Plant) -> None:
    """Each copy goes to one worker of the shared subscription, so that both have some."""
    plant.cloud.add_rule(
        "open", ("played", "meter", "power"), 1000, 500, ("played", "meter", "roof")
    )
    plant.cloud.write()
    for name in ("ingest-1", "ingest-2"):
        plant.programs.add(name, *plant.cloud.command("ingest")).start()
    plant.programs.add("dispatch", *plant.cloud.command("dispatch")).start()
    with plant.tap() as tap:
        gateway = PlayedGateway(tap, "played")
        gateway.introduce()
        for round_ in range(ROUNDS):
            watts = 100 if round_ % 2 else 2000
            batch = gateway.batch(gateway.power(watts))
            gateway.send(batch, COPIES)
            assert gateway.wait_for_ack(batch).rejected == []
        acks = ROUNDS * COPIES
        eventually(lambda: len(tap.heard("played", "ack")) > acks, 20, "an ack for each copy")
    stored = plant.book.readings("played")
    assert len(stored) == ROUNDS
    assert plant.book.committed(gateway.stream).count() == gateway.next_seq - 1
    issued = plant.book.rows("SELECT value, issued_by FROM command ORDER BY issued_at, id")
    assert [value for value, _ in issued] == [1 - round_ % 2 for round_ in range(ROUNDS)]
