# syntax=docker/dockerfile:1

# The styles and scripts need Node only here.
FROM node:22-slim AS static
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --silent
COPY tools tools
COPY service/static service/static
RUN node tools/build_static.mjs

FROM python:3.11-slim AS packages
COPY requirements.lock .
RUN python -m venv /opt/canting && \
    /opt/canting/bin/pip install --quiet --no-cache-dir --require-hashes --no-deps -r requirements.lock && \
    /opt/canting/bin/pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim
RUN groupadd --gid 10001 canting && \
    useradd --uid 10001 --gid canting --no-create-home --shell /usr/sbin/nologin canting && \
    useradd --uid 10002 --gid canting --no-create-home --shell /usr/sbin/nologin canting-signer && \
    install -d -o canting -g canting /var/lib/canting && \
    install -d -o canting -g canting -m 0700 /var/lib/canting/officials && \
    install -d -o canting-signer -g canting -m 2750 /var/lib/canting-keys /run/canting
COPY --from=packages /opt/canting /opt/canting
WORKDIR /app
COPY keys keys
COPY signing signing
COPY service service
COPY LICENSE ./
COPY --from=static /build/service/static/built service/static/built
ENV PATH=/opt/canting/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CANTING_DATA_FOLDER=/var/lib/canting \
    PORT=8000
USER canting
VOLUME /var/lib/canting
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["python", "-m", "service.cli"]
CMD ["serve", "--host", "0.0.0.0"]
