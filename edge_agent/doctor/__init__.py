"""What can be wrong with a gateway: each check looks, writes nothing, and says what to do."""

from edge_agent.doctor.data import check_data
from edge_agent.doctor.finding import Finding, Verdict
from edge_agent.doctor.host import check_host
from edge_agent.doctor.network import check_network

__all__ = ["Finding", "Verdict", "check_data", "check_host", "check_network"]
