# syntax=docker/dockerfile:1
# The image of every Pixmill service: the program with what it needs to run, as a user without rights.
# No torch: models are converted elsewhere (docs/deployment.md), or pulled ready.

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/pixmill
# Dependencies first: this large layer stays as it is while only Pixmill's own code changes.
COPY pyproject.toml ./
RUN python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["postgres"], *p["optional-dependencies"]["remote"], sep="\n")' > requirements.txt \
    && /opt/pixmill/bin/pip install --no-cache-dir -r requirements.txt
COPY README.md LICENSE ./
COPY migrations migrations
COPY pipeline pipeline
COPY workers workers
RUN /opt/pixmill/bin/pip install --no-cache-dir '.[postgres,remote]'

FROM python:3.12-slim

# Intel GPU: its OpenCL and Level Zero runtimes, from Debian. The service also needs /dev/dri (docker-compose.yml).
# RUN apt-get update \
#     && apt-get install -y --no-install-recommends intel-opencl-icd ocl-icd-libopencl1 \
#     && rm -rf /var/lib/apt/lists/*

# Intel NPU: its driver's user-space part, from https://github.com/intel/linux-npu-driver/releases (packages for
# Ubuntu: take the release that matches the host's kernel driver and firmware), put into ./npu beforehand.
# The service also needs /dev/accel.
# COPY npu/*.deb /tmp/npu/
# RUN apt-get update \
#     && apt-get install -y --no-install-recommends /tmp/npu/*.deb \
#     && rm -rf /var/lib/apt/lists/* /tmp/npu

RUN groupadd --gid 10001 pixmill \
    && useradd --uid 10001 --gid pixmill --no-create-home --home-dir /var/lib/pixmill pixmill \
    && install -d -o pixmill -g pixmill /var/lib/pixmill /var/lib/pixmill/models /var/lib/pixmill/cache /media
COPY --from=build /opt/pixmill /opt/pixmill
ENV PATH=/opt/pixmill/bin:$PATH \
    PIXMILL_HOME=/var/lib/pixmill \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/pixmill
# Answers, for looking at them by hand: docker run --rm IMAGE devices
ENTRYPOINT ["pixmill"]
CMD ["--help"]
