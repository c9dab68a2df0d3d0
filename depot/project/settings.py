"""Settings: everything from the environment, safe on one machine with nothing set."""

from pathlib import Path

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environs import Env

from depot import words
from depot.project.logs import logging_settings
from depot.project.secret import secret_from

env = Env()
BASE_DIR = Path(__file__).resolve().parents[2]
env.read_env(BASE_DIR / ".env", recurse=False)

VAR_DIR = Path(env.str("DEPOT_VAR", str(BASE_DIR / "var"))).resolve()
VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # database, secret and uploads: the owner's alone

DEBUG = env.bool("DEPOT_DEBUG", False)
SECRET_KEY = env.str("DEPOT_SECRET_KEY", "") or secret_from(VAR_DIR / "secret_key")
# This machine's own names always: health checks ask by them.
ALLOWED_HOSTS: list[str] = [*env.list("DEPOT_ALLOWED_HOSTS", []), "localhost", "127.0.0.1", "[::1]"]
HTTPS = env.bool("DEPOT_HTTPS", False)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("DEPOT_CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "depot",
    "fleet",
    "billing",
    "charging",
    "depot.project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "depot.access.addresses.NoNul",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # outside of what makes answers, inside of files that are packed already
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "depot.access.language.Language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "depot.access.away.DatabaseAway",
]

ROOT_URLCONF = "depot.project.urls"
ASGI_APPLICATION = "depot.project.asgi.application"
AUTH_USER_MODEL = "depot.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "depots"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HANDLER = "depot.access.log_in.LogInLimits"
FAILURES_PER_ADDRESS = 50  # many people may share the address of their depot
AXES_LOCKOUT_TEMPLATE = "depot/locked.html"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "depot.project.navigation.navigation",
            ],
        },
    }
]

SQLITE_FILE = VAR_DIR / "depot.sqlite3"
DATABASES = {
    "default": {
        **env.dj_db_url("DATABASE_URL", f"sqlite:///{SQLITE_FILE}"),
        "ATOMIC_REQUESTS": False,
    }
}
ON_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if ON_SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    # Every request runs in a thread of its own here, so a connection kept for the next one would only leak.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
    if WEB_POOL := env.int("DEPOT_WEB_POOL", 0):
        # Set by the web server's command alone: its requests share so many connections, as making a new one takes
        # longer than most queries. While the database is away, a request waits as long as it is tried again.
        DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
        DATABASES["default"]["OPTIONS"]["pool"] = {
            "min_size": 1,
            "max_size": WEB_POOL,
            "timeout": 3,
            "reconnect_timeout": 3,
        }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", "")
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 3600,
        "global_keyprefix": "depot:",
        # A page that asks for a job must not wait for a Redis that is gone or hangs: the sweeper asks again.
        "socket_connect_timeout": 2,
        "socket_timeout": 2,
        "max_retries": 1,
        "interval_start": 0.1,
    }
else:
    BROKER_DIR = VAR_DIR / "broker"
    for part in ("queue", "processed", "control"):
        (BROKER_DIR / part).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "processed_folder": str(BROKER_DIR / "processed"),
        "control_folder": str(BROKER_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.1,
    }
# The cache only counts requests for the rate limit; in memory it never fails and never blocks one.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = (
    1500  # under half the visibility timeout, so that Redis never hands a running one out again
)
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_ALWAYS_EAGER = env.bool("DEPOT_JOBS_EAGER", False)
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker as long as it takes
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "depot.project.beat:Scheduler"  # keeps nothing: what is due stands in the database
TICK_SECONDS = env.float("DEPOT_TICK_SECONDS", 2.5)
CELERY_BEAT_SCHEDULE = {"tick": {"task": "depot.tick", "schedule": TICK_SECONDS}}
JOB_HEARTBEAT_SECONDS = env.float("DEPOT_JOB_HEARTBEAT_SECONDS", 2.0)
# What dies is done again within 15 s. SQLite lets one write at a time: there a long import holds up the heartbeats.
JOB_STALE_SECONDS = env.float("DEPOT_JOB_STALE_SECONDS", 45.0 if ON_SQLITE else 9.0)
JOB_UNHEARD_SECONDS = env.float("DEPOT_JOB_UNHEARD_SECONDS", 6.0)

# One clock for all: see depot/clock.py.
CLOCK_SPEED = env.float("DEPOT_CLOCK_SPEED", 1.0)
CLOCK_ANCHOR_WALL = env.str("DEPOT_CLOCK_ANCHOR_WALL", "")
CLOCK_ANCHOR_SIMULATED = env.str("DEPOT_CLOCK_ANCHOR_SIMULATED", "")

# Alerts by e-mail: off until a mail server is named.
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
if env.str("DEPOT_EMAIL_URL", ""):
    vars().update(env.dj_email_url("DEPOT_EMAIL_URL"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEPOT_EMAIL_FROM", "depot@localhost")
EMAIL_TIMEOUT = 20
PUBLIC_ADDRESS = env.str("DEPOT_PUBLIC_ADDRESS", "").rstrip("/")
ENTSOE_TOKEN = env.str("DEPOT_ENTSOE_TOKEN", "")

# Of readings older than this only a few of each quarter of an hour are kept; 0 keeps all.
RAW_DAYS = env.int("DEPOT_RAW_DAYS", 90)
if RAW_DAYS < 0 or 0 < RAW_DAYS < 35:
    raise ImproperlyConfigured(
        "DEPOT_RAW_DAYS must be 0 (keep all) or at least 35: bills must be final first."
    )

WEB_HOST = env.str("DEPOT_WEB_HOST", "127.0.0.1")
WEB_PORT = env.int("DEPOT_WEB_PORT", 8000)
GATEWAY_HOST = env.str("DEPOT_GATEWAY_HOST", "127.0.0.1")
GATEWAY_PORT = env.int("DEPOT_GATEWAY_PORT", 9000)

# Webhooks go to public addresses only, unless the receivers are in this machine's own network.
WEBHOOKS_TO_PRIVATE = env.bool("DEPOT_WEBHOOKS_TO_PRIVATE", False)

LANGUAGE_CODE = words.ENGLISH
LANGUAGES = list(words.LANGUAGES.items())
LOCALE_PATHS = [words.LOCALE]
# Templates write numbers into attributes as they are; what people read goes through the filters of depot_pages.
FORMAT_MODULE_PATH = ["depot.project.formats"]
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("DEPOT_STATIC_ROOT", str(VAR_DIR / "static")))
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = env.bool("DEPOT_STATIC_FINDERS", True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if env.bool("DEPOT_STATIC_MANIFEST", False)
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = VAR_DIR / "uploads"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
LARGEST_REQUEST = 32 * 1024 * 1024  # above what pages and API read, so that those can say what is too large
FILE_UPLOAD_PERMISSIONS = 0o600

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]
# Behind a proxy the web server itself reads X-Forwarded-*, and only from the addresses in FORWARDED_ALLOW_IPS.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "depot.access.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["depot.access.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["depot.access.parsers.JSONBody", "depot.access.parsers.JSONLines"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 100,
    "EXCEPTION_HANDLER": "depot.access.errors.problem",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": env.str("DEPOT_API_RATE", "600/min")},
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Depot API",
    "DESCRIPTION": "Vehicles, chargers, plans, readiness and telemetry of your depots.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_AUTHENTICATION": [
        "rest_framework.authentication.SessionAuthentication",
        "depot.access.authentication.ApiKeyAuthentication",
    ],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "ENUM_NAME_OVERRIDES": {
        "VehicleKindEnum": "fleet.models.vehicles.VehicleType.Kind",
        "OverrideKindEnum": "charging.models.overrides.Override.Kind",
    },
}

LOGGING = logging_settings(env.str("DEPOT_LOG_LEVEL", "INFO"), env.str("DEPOT_LOG_FORMAT", "console"))
