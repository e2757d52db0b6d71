"""Every setting, read from the environment: one variable per choice."""

from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
from csp.constants import NONE, SELF

from pushadmin import __version__
from pushadmin.environment import (
    database,
    env,
    env_address,
    env_flag,
    env_int,
    env_list,
    env_networks,
    store_url,
)
from pushadmin.logs import logging_settings

django_stubs_ext.monkeypatch()  # ModelForm[Campaign] fails at run time without it

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Who we are ---------------------------------------------------------------------------

SECRET_KEY = env("SECRET_KEY")  # no default: must be set
FIELD_KEYS = env_list("FIELD_KEYS")  # Fernet keys; the first encrypts, all decrypt
DEBUG = env_flag("DEBUG", default=False)
PUBLIC_BASE_URL = env("PUBLIC_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
NEW_BASE_URL = env("PUBLIC_BASE_URL", "").rstrip("/")  # told to apps; empty: they are not told
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", urlsplit(PUBLIC_BASE_URL).hostname or "")
TRUSTED_PROXIES = env_int("TRUSTED_PROXIES", 0)  # reverse proxies in front of the web server
METRICS_TOKEN = env("METRICS_TOKEN", "")  # lets scrapers read /metrics from elsewhere
# Apps are in the field whose SDK joins its paths with two slashes; both must be answered.
SILENCED_SYSTEM_CHECKS = ["urls.W002"]
VERSION = __version__
ROOT_URLCONF = "pushadmin.urls"
WSGI_APPLICATION = "pushadmin.wsgi.application"

# --- Parts --------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "pushadmin",
    "devices",
    "campaigns",
    "api",
    "simulator",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
]
MIDDLEWARE = [
    "pushadmin.health.HealthMiddleware",
    "pushadmin.request_ids.RequestIdMiddleware",
    "campaigns.views.metrics.MetricsMiddleware",
    "api.recording.RecordingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "pushadmin.phones.PhoneMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "pushadmin.compressing.PageCompressionMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pushadmin.patience.PatienceMiddleware",
]
LOADERS = [
    "django.template.loaders.filesystem.Loader",
    "django.template.loaders.app_directories.Loader",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    LOADERS if DEBUG else [("django.template.loaders.cached.Loader", LOADERS)],
                )
            ],
            "builtins": [
                "template_partials.templatetags.partials",
                "pushadmin.templatetags.icons",
                "pushadmin.templatetags.looks",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "devices.frame.frame",
            ],
        },
    }
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # templates/django/forms/

# --- Stores -------------------------------------------------------------------------------

DATABASE_POOL = env_int("DATABASE_POOL", 0)  # connections; 0 is none: workers keep one each
STATEMENT_SECONDS = env_int("STATEMENT_SECONDS", 0)  # then a statement is given up; 0: never
DATABASES = {"default": database(env("DATABASE_URL"), seconds=STATEMENT_SECONDS)}
if DATABASE_POOL:
    # Granian ends idle threads, whose own connections would stay open.
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": DATABASE_POOL}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60  # seconds
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env("BROKER_URL")  # tasks
STORE_URL = store_url(env("STORE_URL", BROKER_URL))  # streams, buckets, cache
CACHES = {
    "default": {
        "BACKEND": "pushadmin.caching.StoreCache",
        "LOCATION": STORE_URL,
        "KEY_PREFIX": "cache",
    }
}

# --- Sending ------------------------------------------------------------------------------

CHUNK_SIZE = env_int("CHUNK_SIZE", 1000, at_least=1)  # devices per chunk row
WINDOW_SIZE = env_int("WINDOW_SIZE", 250, at_least=1)  # devices claimed and sent at once
WINDOWS_IN_FLIGHT = env_int("WINDOWS_IN_FLIGHT", 2, at_least=1)  # per worker process
LEASE_SECONDS = env_int("LEASE_SECONDS", 60, at_least=1)  # a silent worker keeps its chunk
LAUNCH_HOLD_SECONDS = env_int("LAUNCH_HOLD_SECONDS", 10)  # time to undo a launch
DISPATCH_WORKERS = env_int("DISPATCH_WORKERS", 2, at_least=1)  # processes that send campaigns
MESSAGE_RETENTION_DAYS = env_int("MESSAGE_RETENTION_DAYS", 90, at_least=2)  # then days are dropped
EVENT_RETENTION_DAYS = env_int("EVENT_RETENTION_DAYS", 90, at_least=32)  # then dropped, too
INBOX_RETENTION_DAYS = env_int("INBOX_RETENTION_DAYS", 365, at_least=1)  # if none was asked for
WEBHOOK_NETWORKS = env_networks("WEBHOOK_NETWORKS")  # of ours that webhooks may call: 10.0.0.0/8
# newest calls of an application that its page shows; 0: none is recorded
API_CALLS_KEPT = env_int("API_CALLS_KEPT", 1000, at_least=0)
WEBHOOK_RETENTION_DAYS = env_int("WEBHOOK_RETENTION_DAYS", 14, at_least=2)  # of their log
WEBPUSH_EXTRA_HOSTS = env_list("WEBPUSH_EXTRA_HOSTS")  # push services beside the known; "*.a.b"
GATEWAYS = env_address("GATEWAYS")  # one address in place of all clouds; None: the clouds
PROXY_URL = env("PROXY_URL", "")  # all clouds are reached through it, by httpx
GATEWAYS_CA_FILE = env("GATEWAYS_CA_FILE", "")  # certificates to trust there

# --- Celery (read by pushadmin/celery.py; each value was measured) ------------------------

CELERY_BROKER_URL = BROKER_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 180,  # seconds; so a task stays under a minute, without countdown
    "unacked_restore_interval": 5,  # seconds
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,  # seconds; a broker that hangs must not hang whoever launches
    "socket_connect_timeout": 5,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.2}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # or a killed child's task is lost
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env_int("SHUTDOWN_SECONDS", 20)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
if BROKER_URL.startswith(("amqp://", "amqps://")):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}

# --- APIs: calls a second of all systems together (contract/people.md 1, 8) ---------------

CONTACT_CALLS_PER_SECOND = env_int("CONTACT_CALLS_PER_SECOND", 50, at_least=1)  # of each call
PERSON_CALLS_PER_SECOND = env_int("PERSON_CALLS_PER_SECOND", 5, at_least=1)
PERSON_CREATIONS_PER_SECOND = env_int("PERSON_CREATIONS_PER_SECOND", 10, at_least=1)
# contract/push.md 1.4
PUSH_CALLS_PER_SECOND = env_int("PUSH_CALLS_PER_SECOND", 2500, at_least=1)  # sends; reports
PUSH_LOGS_PER_MINUTE = env_int("PUSH_LOGS_PER_MINUTE", 120, at_least=1)
INBOUND_CALLS_PER_SECOND = env_int("INBOUND_CALLS_PER_SECOND", 10, at_least=1)
INBOX_DELETIONS_PER_MINUTE = env_int("INBOX_DELETIONS_PER_MINUTE", 2, at_least=1)
# contract/omni.md, in ten minutes
CURRENCY = env("CURRENCY", "EUR")  # of prices, where a gateway names none
SCENARIO_CREATIONS = env_int("SCENARIO_CREATIONS", 20, at_least=1)
SCENARIO_UPDATES = env_int("SCENARIO_UPDATES", 40, at_least=1)
OLDER_PUSH_CALLS_PER_SECOND = env_int("OLDER_PUSH_CALLS_PER_SECOND", 100, at_least=1)  # of each

# --- People -------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "pushadmin.accounts.AccountAdapter"  # no open sign-up
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # accounts are made by administrators
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = None  # the login form asks
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "pushadmin"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG

# --- Browser ------------------------------------------------------------------------------

HTTPS = PUBLIC_BASE_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_SSL_REDIRECT = HTTPS and env_flag("REDIRECT_TO_HTTPS", default=True)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0  # one year
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 14 * 86_400  # seconds
X_FRAME_OPTIONS = "DENY"
# Cookies know no port: two installations on one host would end each other's sessions.
_port = urlsplit(PUBLIC_BASE_URL).port
SESSION_COOKIE_NAME = f"sessionid_{_port}" if _port else "sessionid"
CSRF_COOKIE_NAME = f"csrftoken_{_port}" if _port else "csrftoken"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20  # bytes of a body that is no file
# The builder of rules posts up to 300 conditions, each with up to 100 values of its own.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 40_000

# --- Static files -------------------------------------------------------------------------

HASHED_STATIC_FILES = env_flag("HASHED_STATIC_FILES", default=not DEBUG)
STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "pushadmin.staticfiles.PackageFinder",
]
NODE_MODULES = Path(env("NODE_MODULES", str(BASE_DIR / "node_modules")))
# Each file that is served from an npm package, under pkg/ and this path.
PACKAGE_FILES = [
    "echarts/dist/echarts.min.js",
    "idiomorph/dist/idiomorph-ext.min.js",
    "sortablejs/Sortable.min.js",
    "tom-select/dist/css/tom-select.min.css",
    "tom-select/dist/js/tom-select.complete.min.js",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "pushadmin.staticfiles.HashedStorage"
            if HASHED_STATIC_FILES
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

# --- Language, time, logs -----------------------------------------------------------------

LANGUAGE_CODE = "en-us"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging_settings(
    level=env("LOG_LEVEL", "INFO"), as_json=env("LOG_FORMAT", "json") == "json"
)

# --- Mail (password resets) ---------------------------------------------------------------

EMAIL_HOST = env("EMAIL_HOST", "")  # empty: mails are written to the log's stream instead
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = env_int("EMAIL_PORT", 587)
EMAIL_HOST_USER = env("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env_flag("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", "pushadmin@localhost")
