"""What the web server loads."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pushadmin.settings")
os.environ.setdefault("DATABASE_POOL", "8")  # connections per web process

application = get_wsgi_application()
