# PocketGAN for a CPU:
#   docker build -t pocketgan --build-arg PIP_EXTRA_INDEX_URL=... .
# The argument is the index of PyTorch's builds for CPUs; without it the image holds the build for CUDA, gigabytes larger.
#   docker run --rm -v "$PWD:/data" pocketgan compress path/to/pairs --budget 1.5G --size 128
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL=

# what a wheel is made of, and no more: the image holds no checkout
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY pocketgan /source/pocketgan
RUN python -m pip install --no-cache-dir -c /source/constraints.txt '/source[openvino]' \
    && rm -rf /source \
    && pocketgan doctor

# runs and models lie where the caller's folder is mounted
WORKDIR /data
ENTRYPOINT ["pocketgan"]
CMD ["--help"]
