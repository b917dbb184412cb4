"""Django's settings. All variation comes from the environment (see `.env.example`).

Each invalid value gives one line on stderr; then the process exits with code 78 before it changes anything.
"""

import os
import re
import sys
from pathlib import Path

from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from chatsite.environment import SettingsError, describe, read_environment

EX_CONFIG = 78  # sysexits.h
BASE_DIR = Path(__file__).resolve().parent.parent

try:
    environment = read_environment(
        os.environ,
        base_dir=BASE_DIR,
        serving=sys.argv[1:2] == ["serve"],
        testing=os.environ.get("DJANGO_SETTINGS_MODULE", "").startswith("tests."),
    )
except SettingsError as error:
    sys.stderr.write(describe(error.lines))
    sys.exit(EX_CONFIG)


def read_version(changelog: Path) -> str:
    """Return the version in the first version heading of CHANGELOG.md, its only source."""
    text = changelog.read_text(encoding="utf-8") if changelog.is_file() else ""
    heading = re.search(r"^## \[?v?(\d+\.\d+\.\d+\S*?)\]?(?:\s|$)", text, re.MULTILINE)
    return heading[1] if heading else "0.0.0"


VERSION = read_version(BASE_DIR / "CHANGELOG.md")

# What the app reads; names as in the environment.
PORTAL_DATA_DIR = environment.data_dir
PORTAL_CACHE_DIR = BASE_DIR / ".cache"
PORTAL_ORIGINS = environment.origins
PORTAL_BASE_URL = environment.base_url
PORTAL_KEYRING = environment.keyring
PORTAL_TRUSTED_PROXIES = environment.trusted_proxies
PORTAL_DRAIN_SECONDS = environment.drain_seconds
PORTAL_USER_RUNNING = environment.user_running
PORTAL_USER_QUEUED = environment.user_queued
PORTAL_USER_SOCKETS = environment.user_sockets
PORTAL_USER_PROMPTS_PER_MINUTE = environment.user_prompts_per_minute
PORTAL_SOCKET_COMMANDS_PER_SECOND = environment.socket_commands_per_second
PORTAL_FAILPOINT = environment.failpoint
PROVIDER_PAUSE_SECONDS = 30.0
"""Seconds before the first probe of a provider that is down."""
PORTAL_ADMIN_USER = environment.admin_user
PORTAL_ADMIN_PASSWORD = environment.admin_password
PORTAL_LOCAL_MODEL = environment.local_model
"""Also False if the environment names an upstream."""
OPENAI_API_KEY = environment.openai_api_key
OPENAI_BASE_URL = environment.openai_base_url
OPENAI_MODELS = environment.openai_models
ENVIRONMENT_NAMES = environment.names
"""All variables that are read. A test compares them with .env.example."""
HOST = environment.host
PORT = environment.port

# tiktoken reads this. `manage.py setup_portal` writes the tables there, so that it never downloads any.
os.environ["TIKTOKEN_CACHE_DIR"] = str(PORTAL_CACHE_DIR / "tiktoken")

SECRET_KEY = environment.secret_key
DEBUG = environment.debug
PORTAL_BUNDLED = not DEBUG
"""Whether pages load the bundle, if it exists. With DEBUG they load the single files."""
ALLOWED_HOSTS = environment.allowed_hosts

INSTALLED_APPS = [
    "chat.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "chatsite",
    "chat",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Above WhiteNoise, so that static files have these headers, too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "chatsite.middleware.private_pages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    # guard: a post carries its token
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "chatsite.urls"
ASGI_APPLICATION = "chatsite.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": environment.database_path,
        "OPTIONS": {
            # A transaction that starts with reading cannot wait for the write lock later.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL;"
                f"PRAGMA synchronous={environment.sqlite_synchronous};"
                "PRAGMA foreign_keys=ON;"
                "PRAGMA wal_autocheckpoint=1000;"
                "PRAGMA journal_size_limit=67108864;"
            ),
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "chat.User"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/chat/"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Cookies ignore ports: with the same names, two portals on one machine would log each other's users out.
_port = f"_{PORT}" if environment.on_loopback else ""
_host = "__Host-" if environment.https_only else ""
SESSION_COOKIE_NAME = f"{_host}sessionid{_port}"
CSRF_COOKIE_HTTPONLY = True  # scripts read the token from forms
CSRF_COOKIE_NAME = f"{_host}csrftoken{_port}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = environment.https_only
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_TRUSTED_ORIGINS = PORTAL_ORIGINS

if PORTAL_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    },
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = PORTAL_CACHE_DIR / "static"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "chatsite.finders.VendorFinder",
    "chatsite.finders.BundleFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"secrets": {"()": "chatsite.masking.SecretsFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["secrets"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "chat": {"level": "INFO"},
        "chatsite": {"level": "INFO"},
        # Replaces Django's own handlers, which would print everything twice.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # Errors only: a line for each missing page would be noise.
        "django.request": {"level": "ERROR"},
        # It logs every refused handshake, so strangers could fill the disk.
        "twisted": {"level": "ERROR"},
        # It logs each refused request (wrong Host, no token, too many fields), mostly with a traceback, so strangers
        # could fill the disk.
        "django.security": {"level": "CRITICAL"},
        # They log the address of each request, and addresses may contain keys.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
    },
}
