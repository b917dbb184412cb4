"""The settings of the tests, with a bundle in a cache of its own."""

from tests.settings import *

PORTAL_BUNDLED = True
PORTAL_CACHE_DIR = PORTAL_DATA_DIR / "cache"
STATIC_ROOT = PORTAL_CACHE_DIR / "static"
