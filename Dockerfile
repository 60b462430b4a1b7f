# The image of `make image` for builds with Docker. Tests compare the instructions, and build
# the last stage from the files of `make image`; they do not build the first stage. It needs
# BuildKit and, for the version, a clone with .git.
#
#   docker build -t cosproxy --build-arg VERSION="$(git describe --tags --always | sed s/^v//)" \
#     --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg CREATED="$(TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)" .

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
RUN go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
WORKDIR /src
COPY . .
ARG TARGETOS
ARG TARGETARCH
ENV GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN go build -buildvcs=true -ldflags '-s -w' -o /image/cosproxy ./cmd/cosproxy
RUN cyclonedx-gomod mod -json -licenses -std -type application -noserial -notimestamp -output /image/sbom.cdx.json .
RUN chmod 0644 /image/sbom.cdx.json && install -m 0644 LICENSE /image/LICENSE

FROM scratch
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="cosproxy" \
      org.opencontainers.image.description="A sidecar that signs plain HTTP requests for Tencent Cloud COS" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /image/ /
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/cosproxy", "healthcheck"]
ENTRYPOINT ["/cosproxy"]
