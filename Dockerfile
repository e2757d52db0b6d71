# One image for web, worker, quick and scheduler; compose.yaml shows how each is started.

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.13-slim AS environment
COPY requirements/bootstrap.txt requirements/production.txt /requirements/
RUN pip install --no-cache-dir --require-hashes -r /requirements/bootstrap.txt \
    && uv venv /opt/venv \
    && VIRTUAL_ENV=/opt/venv uv pip sync --no-cache --require-hashes /requirements/production.txt

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PUSHADMIN_PYTHON=system \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STATIC_ROOT=/app/staticfiles
WORKDIR /app
COPY --from=environment /opt/venv /opt/venv
COPY --from=packages /app/node_modules node_modules
COPY manage.py ./
COPY embedded embedded
COPY pushadmin pushadmin
COPY devices devices
COPY campaigns campaigns
COPY providers providers
COPY api api
COPY simulator simulator
COPY templates templates
COPY static static
# Settings must load to collect files; no server is asked, and none of this stays.
RUN SECRET_KEY=unused DATABASE_URL=postgresql://unused/unused BROKER_URL=redis://unused \
    python manage.py collectstatic --noinput --verbosity 0 \
    && useradd --system --uid 10001 pushadmin
USER pushadmin
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "--blocking-threads", "4", "--respawn-failed-workers", "--no-ws", \
     "pushadmin.wsgi:application"]
