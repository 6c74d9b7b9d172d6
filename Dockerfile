# Two images, docs/guide/DEPLOY.md: movierec for the dashboard and the worker, api for the REST API.
# `make container` builds and runs them where no registry can be reached.

FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml poetry.lock poetry.toml README.md ./
COPY tools ./tools
# enough of the package to install it; its code changes more often than what it needs
COPY src/movierec/__init__.py ./src/movierec/
# Both secrets may be left out: pip's configuration where there is a package index of your own,
# and the certificates that it names as /run/secrets/certificates.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=certificates \
    --mount=type=cache,target=/var/cache/poetry \
    POETRY_CACHE_DIR=/var/cache/poetry sh tools/bootstrap.sh install api postgres s3
# nobody may write there later, and compiling at each start takes longer than the start; some
# packages carry templates that are no Python
RUN .venv/bin/python -m compileall -q -j 0 .venv/lib || true

# what serves needs neither torch nor CUDA: 1.2 GiB instead of 6.3
FROM build AS build-api
RUN .venv/bin/python -m pip freeze | grep -E '^(torch|triton|nvidia|cuda)' | cut -d= -f1 \
    | xargs .venv/bin/python -m pip uninstall --yes --quiet

FROM debian:trixie-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/movierec movierec \
    && install -d -o movierec -g movierec /var/lib/movierec /var/lib/movierec/data \
        /var/lib/movierec/models /var/lib/movierec/runs
WORKDIR /app
COPY pyproject.toml LICENSE Home.py ./
COPY .streamlit ./.streamlit
COPY pages ./pages
COPY src ./src
RUN python3 -m compileall -q src
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/movierec \
    MOVIEREC_HOME=/var/lib/movierec \
    MOVIEREC_RUNS_DIR=runs

FROM base AS api
COPY --from=build-api /app/.venv ./.venv
USER movierec
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["movierec", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS movierec
COPY --from=build /app/.venv ./.venv
USER movierec
EXPOSE 8501
# of the dashboard; the worker, whose command compose.yaml gives, has none
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "Home.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true", "--server.fileWatcherType=none"]
