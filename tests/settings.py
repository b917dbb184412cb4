"""Settings of the tests: the real ones, over an environment of their own in a temporary directory."""

import atexit
import os
import shutil
import tempfile

if "PORTAL_DATA_DIR" not in os.environ:
    os.environ["PORTAL_DATA_DIR"] = tempfile.mkdtemp(prefix="chatsite-tests-")
    atexit.register(shutil.rmtree, os.environ["PORTAL_DATA_DIR"], ignore_errors=True)
os.environ.setdefault("SECRET_KEY", "only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz")
os.environ.setdefault("PORTAL_KEYRING", "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OS1hYmNkZWY=")
os.environ.setdefault("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver")
os.environ.setdefault("PORTAL_ORIGINS", "http://127.0.0.1:8000,http://localhost:8000,http://testserver")
os.environ.setdefault("PORTAL_INSECURE_HTTP", "1")

from chatsite.settings import *

TESTING = True
"""Failpoints and other doors for tests are open."""

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Several threads with connections of their own need a file: an in-memory database would be another one for each.
DATABASES["default"]["TEST"] = {"NAME": PORTAL_DATA_DIR / "test.sqlite3"}

# The hashed names need a collectstatic run; tests of pages do not.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PORTAL_BUNDLED = False
WHITENOISE_AUTOREFRESH = True
