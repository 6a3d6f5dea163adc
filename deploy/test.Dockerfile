# The image of ../Dockerfile with what tests need on top (`make test-image`); its context is `requirements`.
# Whatever the lock of both names is in the image already and stays as it is there. The checkout is mounted at /checkout.
FROM vantixs-signals
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends curl git make && rm -rf /var/lib/apt/lists/*
COPY dev.txt /tmp/dev.txt
RUN /opt/vantixs/bin/python -m ensurepip \
 && /opt/vantixs/bin/python -m pip install --no-cache-dir --no-compile --require-hashes -r /tmp/dev.txt
COPY --from=nats:2.15-alpine /usr/local/bin/nats-server /opt/vantixs/bin/nats-server
RUN git config --system --add safe.directory /checkout
USER vantixs
WORKDIR /checkout
# The checkout is read-only.
ENV HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis PYTEST_ADDOPTS="-p no:cacheprovider"
ENTRYPOINT []
