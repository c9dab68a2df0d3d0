# One image for every process; docker-compose.yml says which of the Procfile's commands each container runs.
FROM python:3.11-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.lock requirements-meters.lock requirements-prices.lock .
RUN /opt/venv/bin/pip install --quiet --require-hashes --no-deps -r requirements.lock -r requirements-meters.lock \
      -r requirements-prices.lock

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin depot \
    && install -d -o depot -g depot -m 0700 /app/var
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEPOT_VAR=/app/var \
    DEPOT_STATIC_ROOT=/app/staticfiles \
    DEPOT_STATIC_MANIFEST=1 \
    DEPOT_STATIC_FINDERS=0
WORKDIR /app
COPY . .
# The key made for this one command lies in a folder that the same step removes.
RUN DEPOT_VAR=/tmp/build python manage.py collectstatic --noinput --verbosity 0 && rm -rf /tmp/build
USER depot
VOLUME /app/var
EXPOSE 8000 9000
CMD ["sh", "-c", "exec env DEPOT_WEB_POOL=${DEPOT_DB_POOL:-60} uvicorn depot.project.asgi:application --host 0.0.0.0 --port 8000 --log-level warning"]
