# With a digest, golang:1.26@sha256:..., the build is the same tomorrow; docs/install.md says how to find it.
ARG GO_IMAGE=golang:1.26
FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown REVISION=unknown BRANCH=unknown DATE=unknown
RUN make build VERSION="$VERSION" REVISION="$REVISION" BRANCH="$BRANCH" DATE="$DATE" && \
    make notices NOTICES=/third-party-notices.txt

FROM scratch
ARG VERSION=unknown REVISION=unknown DATE=unknown
LABEL org.opencontainers.image.title="prober" \
      org.opencontainers.image.description="Continuous synthetic prober that asks what an on-call engineer asks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$DATE"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /third-party-notices.txt /third-party-notices.txt
COPY --from=build /src/prober /bin/prober
# A number and not a name: the image has no /etc/passwd, and Kubernetes' runAsNonRoot wants to see a number.
USER 65532:65532
EXPOSE 9798
ENTRYPOINT ["/bin/prober"]
CMD ["--config.file=/etc/prober"]
