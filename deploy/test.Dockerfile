# The image of ../Dockerfile with what tests need on top (`make test-image`); its context is `requirements`.
# Whatever the lock of both names is in the image already and stays as it is there. The checkout is mounted at /checkout.
FROM vantixs-signals
USER root
COPY dev.txt /tmp/dev.txt
RUN python3 -m venv /opt/pip \
 && /opt/pip/bin/pip --python /opt/vantixs/bin/python install --no-cache-dir --no-compile --require-hashes -r /tmp/dev.txt
COPY --from=nats:2.15-alpine /usr/local/bin/nats-server /opt/vantixs/bin/nats-server
USER vantixs
WORKDIR /checkout
# The checkout is read-only.
ENV HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis PYTEST_ADDOPTS="-p no:cacheprovider"
ENTRYPOINT []
