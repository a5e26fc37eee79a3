"""Integrations for engines. Each module needs its engine; importing this package needs none."""
