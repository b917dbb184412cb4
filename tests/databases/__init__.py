"""A database of each release, as it was left by that release: what `tests/management/test_upgrade.py` upgrades."""
