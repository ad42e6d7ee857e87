"""The settings of the sample: Django's own, and the layer that it shares with Fanfare."""

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# A sample that runs on one machine. A real project reads these from elsewhere.
SECRET_KEY = "a sample has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "chat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
ROOT_URLCONF = "sample.urls"
WSGI_APPLICATION = "sample.wsgi.application"
ASGI_APPLICATION = "sample.asgi.application"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SAMPLE_DATABASE", BASE_DIR / "db.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/chat/lobby/"
LOGOUT_REDIRECT_URL = "/login/"

# The same layer as in fanfare.toml.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ.get(
            "CHANNEL_BACKEND", "channels_redis.pubsub.RedisPubSubChannelLayer"
        ),
        "CONFIG": json.loads(
            os.environ.get("CHANNEL_CONFIG", '{"hosts": ["redis://127.0.0.1:6379/0"]}')
        ),
    }
}

# Where Django asks Fanfare whose session a channel is. The key is in `api.keys` of fanfare.toml.
FANFARE_API = os.environ.get("FANFARE_API", "http://127.0.0.1:8001/api/v1")
FANFARE_API_KEY = os.environ.get("FANFARE_API_KEY", "the key of a sample on one machine")

# Where the pages find Fanfare: empty behind nginx, where it is the page's own host;
# "ws://127.0.0.1:8001" beside `manage.py runserver`.
FANFARE_WS = os.environ.get("FANFARE_WS", "")
