# One image for every service: `vantixs serve NAME`. It runs as a user without rights.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/dev.txt
RUN python -m venv /opt/vantixs && /opt/vantixs/bin/pip install --no-cache-dir --require-hashes -r requirements/main.txt
COPY . .
# The wheel of `make wheel`: the hot modules are compiled into it (ADR 18).
RUN VANTIXS_COMPILE=1 /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheel . \
 && /opt/vantixs/bin/pip install --no-cache-dir --no-deps /opt/wheel/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 vantixs && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin vantixs \
 && mkdir -p /home/vantixs/data && chown -R vantixs:vantixs /home/vantixs
COPY --from=build /opt/vantixs /opt/vantixs
ENV PATH=/opt/vantixs/bin:$PATH VANTIXS_HOME=/home/vantixs PYTHONUNBUFFERED=1
USER vantixs
WORKDIR /home/vantixs
ENTRYPOINT ["vantixs"]
CMD ["--help"]
