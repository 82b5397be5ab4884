# docker run --rm -v BIDS:/data:ro -v OUT:/out modelarrayio-bids /data /out group
#
# The last stage is the image for users. `--target test` has its packages, pytest and the tests.
FROM debian:trixie-slim AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/ldconfig /var/log/apt /var/log/dpkg.log

# Every package as a wheel, each checked against its hash in requirements/.
FROM python AS wheels
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
COPY requirements/build.txt /src/requirements/
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r /src/requirements/build.txt
# No compiler is here: what has no wheel has to be plain Python.
COPY requirements/lock.txt /src/requirements/
# Two builds are to have the same files: what is packed, and compiled below, tells no time.
RUN SOURCE_DATE_EPOCH=946684800 \
    /opt/build/bin/pip wheel --no-cache-dir --no-build-isolation --no-deps --require-hashes \
    --wheel-dir /wheels/lock -r /src/requirements/lock.txt

FROM wheels AS build
RUN python3 -m venv --without-pip /opt/modelarrayio-bids \
    && /opt/build/bin/pip --python /opt/modelarrayio-bids/bin/python install \
        --no-cache-dir --no-index --no-deps --no-compile /wheels/lock/*.whl
# The code changes more often than what it needs: it is a layer of its own.
COPY pyproject.toml README.md LICENSE /src/
COPY modelarrayio_bids /src/modelarrayio_bids
RUN SOURCE_DATE_EPOCH=946684800 \
    /opt/build/bin/pip wheel --no-cache-dir --no-build-isolation --no-deps \
        --wheel-dir /wheels/own /src \
    && /opt/build/bin/pip --python /opt/modelarrayio-bids/bin/python install \
        --no-cache-dir --no-index --no-deps --no-compile /wheels/own/*.whl
# The tests of other packages are a tenth of them, and of what botocore knows of AWS, 27 MB, S3 and
# its credentials need 2. Nothing can be compiled later, on a read-only root: so it is done here.
RUN find /opt/modelarrayio-bids/lib -type d -name tests -prune -exec rm -rf {} + \
    && find /opt/modelarrayio-bids/lib -type d -path '*/botocore/data/*' -prune \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} + \
    && python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/modelarrayio-bids/lib
# matplotlib keeps a list of fonts, and a user who may write has it in the home otherwise.
RUN XDG_CACHE_HOME=/opt/modelarrayio-bids/cache XDG_CONFIG_HOME=/opt/modelarrayio-bids/config \
    /opt/modelarrayio-bids/bin/python -c "import json, pathlib, matplotlib.font_manager; \
        found, = pathlib.Path('/opt/modelarrayio-bids/cache/matplotlib').glob('fontlist-*.json'); \
        fonts = json.loads(found.read_text()); \
        [fonts[name].sort(key=str) for name in ('afmlist', 'ttflist')]; \
        found.write_text(json.dumps(fonts))"

FROM build AS build-test
COPY requirements/test.txt /src/requirements/
RUN /opt/build/bin/pip --python /opt/modelarrayio-bids/bin/python install \
    --no-cache-dir --no-deps --require-hashes --only-binary :all: --no-binary docopt \
    -r /src/requirements/test.txt

FROM python AS runtime
# Any user, any home, no network: nothing is looked for outside the image and the mounts.
ENV PATH=/opt/modelarrayio-bids/bin:$PATH \
    PYTHONNOUSERSITE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/opt/modelarrayio-bids/cache \
    XDG_CONFIG_HOME=/opt/modelarrayio-bids/config \
    LC_ALL=C.UTF-8 \
    NO_ET=1

# docker build --target test -t tested . && docker run --rm tested
FROM runtime AS test
# Some tests leave processes behind, as schedulers do: something has to collect them. Playwright is
# started to find no browser here, and needs libatomic for that.
RUN apt-get update && apt-get install --yes --no-install-recommends tini libatomic1 \
    && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["tini", "--"]
COPY --from=build-test /opt/modelarrayio-bids /opt/modelarrayio-bids
COPY pyproject.toml README.md CHANGELOG.md CONTRIBUTING.md /src/
COPY docs /src/docs
COPY tests /src/tests
WORKDIR /src
CMD ["pytest", "-n", "auto", "--dist", "worksteal", "-o", "cache_dir=/tmp/pytest-cache", "tests"]

FROM runtime
COPY --from=build /opt/modelarrayio-bids /opt/modelarrayio-bids
ARG VERSION=unknown
ARG REVISION=unknown
# What outputs say made them: docker build --build-arg CONTAINER_TAG=pennlinc/modelarrayio-bids:1.0
ARG CONTAINER_TAG=modelarrayio-bids
# Podman's cache looks at the arguments of RUN alone: ENV and LABEL would be those of another build.
RUN echo "$CONTAINER_TAG $VERSION $REVISION" > /opt/modelarrayio-bids/image.txt
ENV MODELARRAYIO_CONTAINER_TAG=$CONTAINER_TAG
LABEL org.opencontainers.image.title="modelarrayio-bids" \
      org.opencontainers.image.description="BIDS derivatives to ModelArray's HDF5 and back" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENTRYPOINT ["modelarrayio-bids"]
