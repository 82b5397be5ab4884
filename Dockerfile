# docker run --rm -v BIDS:/data:ro -v OUT:/out modelarrayio-bids /data /out group
FROM debian:trixie-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
# Dependencies change less often than the code: they are a layer of their own.
COPY pyproject.toml README.md LICENSE /src/
COPY modelarrayio_bids/__about__.py /src/modelarrayio_bids/
RUN python3 -m venv /opt/modelarrayio-bids \
    && /opt/modelarrayio-bids/bin/pip install --no-cache-dir /src
COPY modelarrayio_bids /src/modelarrayio_bids
RUN /opt/modelarrayio-bids/bin/pip install --no-cache-dir --no-deps --force-reinstall /src \
    && /opt/modelarrayio-bids/bin/python -m compileall -q /opt/modelarrayio-bids/lib \
    && /opt/modelarrayio-bids/bin/pip uninstall --yes --quiet pip

FROM base
COPY --from=build /opt/modelarrayio-bids /opt/modelarrayio-bids
# What outputs say made them: docker build --build-arg CONTAINER_TAG=pennlinc/modelarrayio-bids:1.0
ARG CONTAINER_TAG=modelarrayio-bids
# Any user, any home, no network: nothing is looked for outside the image and the mounts.
ENV PATH=/opt/modelarrayio-bids/bin:$PATH \
    PYTHONNOUSERSITE=1 \
    NO_ET=1 \
    MODELARRAYIO_CONTAINER_TAG=$CONTAINER_TAG
LABEL org.opencontainers.image.title="modelarrayio-bids" \
      org.opencontainers.image.description="BIDS derivatives to ModelArray's HDF5 and back" \
      org.opencontainers.image.licenses="BSD-3-Clause"
ENTRYPOINT ["modelarrayio-bids"]
