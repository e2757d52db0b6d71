"""What the web server loads."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from pushadmin.bodies import measured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pushadmin.settings")
os.environ.setdefault("DATABASE_POOL", "8")  # connections per web process
os.environ.setdefault("STATEMENT_SECONDS", "60")  # nobody waits longer for a page

application = measured(get_wsgi_application(), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
