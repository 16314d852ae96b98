"""Permit's client: ask the licence server, verify its signed answer, work offline."""

__version__ = "0.1.0"
