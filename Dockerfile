# The image: docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --tag sealprove:0.1.0 .
#
# Base images are pinned by tag, and the compiler by its whole version. A tag can be moved: where it matters, resolve
# it once (`docker buildx imagetools inspect rust:1.95.0-bookworm`) and write `@sha256:…` behind it. Nothing of the
# base is in the image but glibc, libgcc and the certificate authorities; image/rootfs.sh says what, and tests/service/image.rs
# runs exactly that filesystem.

FROM rust:1.95.0-bookworm AS build
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
# Before the sources, which change more often.
RUN cargo install --locked --version 0.5.9 cargo-cyclonedx
WORKDIR /src
COPY . .
RUN image/rootfs.sh "$(image/build.sh)" /rootfs \
    && install -D -m 0644 "$(image/sbom.sh)" /rootfs/usr/share/doc/sealprove/sealprove.cdx.json \
    && find /rootfs -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# docker build --target sbom --output . .
FROM scratch AS sbom
COPY --from=build /rootfs/usr/share/doc/sealprove/sealprove.cdx.json /

FROM scratch
COPY --from=build /rootfs /
LABEL org.opencontainers.image.title="sealprove" \
      org.opencontainers.image.description="Private proving over NATS: sealed witnesses in, verified proofs out" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
USER 65532:65532
# What it writes are sockets in /tmp. Run it with a root that is read-only, and a small tmpfs there.
ENTRYPOINT ["/usr/bin/sealprove"]
CMD ["--help"]
