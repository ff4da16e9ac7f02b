"""The real programs: edge agent, simulators and cloud, each a process of its own."""

from common.messages.batch import unpack
from tests.bench.figures import Figure, figure, quantile
from tests.bench.load import COMMANDS, MEASURED_S, RUNS, measure_latency
from tests.bench.meters import write_meters
from tests.bench.observe import round_trips_ms
from tests.bench.servers import Stage, stage
from tests.harness.cloud import CloudFiles
from tests.harness.site import GATEWAY, ROOF, SiteFiles
from tests.harness.tap import Tap

DATABASE = "inmetter"


def latency(peers: dict[str, Figure]) -> list[Figure]:
    """Measured → committed: eight Modbus meters, 105 registers, polled ten times a second."""
    p50, p99 = [], []
    for _ in range(RUNS):
        with stage() as on:
            start_cloud(on, "ingest")
            _start_site(on, write_meters(on.directory / "site", on.broker.port))
            found = measure_latency(on.broker.port, GATEWAY, MEASURED_S)
        p50.append(quantile(found, 0.5))
        p99.append(quantile(found, 0.99))
    return [
        _figure("latency.measured_to_committed_p50_ms", p50, 8, peers),
        _figure("latency.measured_to_committed_p99_ms", p99, 30, peers),
    ]


def command(peers: dict[str, Figure]) -> list[Figure]:
    """Issued → the ack of the report "succeeded", which carries the state read back.

    The cloud is one process, in which the dispatcher is woken; the five usual devices are polled
    each second meanwhile.
    """
    p50, p99 = [], []
    for _ in range(RUNS):
        with stage() as on:
            cloud = start_cloud(on, "all")
            cloud.wait_until_ready()
            _start_site(on, SiteFiles(on.directory / "site", on.broker.port).write())
            output = cloud.output_id(GATEWAY, *ROOF)
            on.programs["edge"].wait_for(f"device {ROOF[0]}: session")
            with Tap(on.broker.port) as tap:
                for number in range(1, COMMANDS + 1):
                    _carry_out(cloud, tap, output, number % 2)
                took = round_trips_ms(tap, GATEWAY)
        p50.append(quantile(took, 0.5))
        p99.append(quantile(took, 0.99))
    return [
        _figure("command.round_trip_p50_ms", p50, 12, peers),
        _figure("command.round_trip_p99_ms", p99, 50, peers),
    ]


def start_cloud(on: Stage, role: str) -> CloudFiles:
    """``role`` in a process of its own, connected, on a database that is empty."""
    directory = on.directory / "cloud"
    directory.mkdir()
    url = on.database.create_database(DATABASE)
    cloud = CloudFiles(directory, url, on.broker.port)
    cloud.write()
    on.programs.add(role, *cloud.command(role)).start().wait_for(": connected")
    return cloud


def _start_site(on: Stage, site: SiteFiles) -> None:
    simulators = on.programs.add("simulators", *site.simulator_command()).start()
    simulators.wait_for("simulated site is up")
    on.programs.add("edge", *site.edge_command()).start()


def _carry_out(cloud: CloudFiles, tap: Tap, output: int, value: int) -> None:
    """Order, and wait until the cloud knows that it was done."""
    before = tap.count
    order = cloud.order(output, value)
    report = f'"id":"{order}","state":"succeeded"'.encode()
    said = unpack(tap.wait_for("journal", report, after=before).payload)
    tap.wait_for("ack", f'"first":{said.first},"last":{said.last},'.encode(), after=before)


def _figure(name: str, runs: list[float], target: float, peers: dict[str, Figure]) -> Figure:
    peer = "bare." + name.removeprefix("latency.").replace("command.", "command_")
    return figure(name, runs, "ms", target=target, peer=peers.get(peer))
