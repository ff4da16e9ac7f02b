"""The database, for those above the services: to open, and to hand on."""

from cloud.storage.unit_of_work import Store

__all__ = ["Store"]
