# One image for every service: `vantixs serve NAME`. It runs as a user without rights.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends binutils gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/dev.txt
RUN python -m venv --without-pip /opt/vantixs \
 && /opt/build/bin/pip --python /opt/vantixs/bin/python install --no-cache-dir --no-compile --require-hashes -r requirements/main.txt
COPY . .
# The wheel of `make wheel`: the hot modules are compiled into it (ADR 18).
RUN VANTIXS_COMPILE=1 /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheel . \
 && /opt/build/bin/pip --python /opt/vantixs/bin/python install --no-cache-dir --no-compile --no-deps /opt/wheel/*.whl
# What no container runs is left out (ADR 46): symbols for debuggers, nats-server, bytecode of modules that nothing imports.
# The libraries in *.libs were patched after they were linked, which strip does not always survive.
RUN find /opt/vantixs -name '*.so*' -type f -not -path '*.libs/*' -exec strip --strip-debug {} + \
 && rm /opt/vantixs/bin/nats-server \
 && /opt/vantixs/bin/python deploy/import_all.py

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 vantixs && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin vantixs \
 && mkdir -p /home/vantixs/data && chown -R vantixs:vantixs /home/vantixs
COPY --from=build /opt/vantixs /opt/vantixs
ENV PATH=/opt/vantixs/bin:$PATH VANTIXS_HOME=/home/vantixs PYTHONUNBUFFERED=1
USER vantixs
WORKDIR /home/vantixs
ENTRYPOINT ["vantixs"]
CMD ["--help"]
