# One image for every service: `vantixs serve NAME`. It runs as a user without rights.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/main.txt requirements/main.txt
RUN python -m venv /opt/vantixs && /opt/vantixs/bin/pip install --no-cache-dir --require-hashes -r requirements/main.txt
COPY . .
RUN /opt/vantixs/bin/pip install --no-cache-dir setuptools \
 && /opt/vantixs/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/vantixs/bin/pip uninstall --yes setuptools

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 vantixs && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin vantixs \
 && mkdir -p /home/vantixs/data && chown -R vantixs:vantixs /home/vantixs
COPY --from=build /opt/vantixs /opt/vantixs
ENV PATH=/opt/vantixs/bin:$PATH VANTIXS_HOME=/home/vantixs PYTHONUNBUFFERED=1
USER vantixs
WORKDIR /home/vantixs
ENTRYPOINT ["vantixs"]
CMD ["--help"]
