# syntax=docker/dockerfile:1

# The bot as one static binary in an otherwise empty image: no shell, no package
# manager, nobody's home. It runs as a user without rights and with a read-only
# root; all that it writes is below /data.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t qlik-chatops .

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN VERSION="$VERSION" .ci/build /out/bot
# An empty directory to copy: the final stage has no shell to make one with.
RUN mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/bot /bot
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# Requests, grants and the audit record. Without a volume they end with the
# container.
VOLUME /data
# Health and metrics have no login: the port is reachable only where it is
# published or where the cluster's network lets it be.
ENV DATABASE_URL=sqlite:/data/bot.db \
    LISTEN_ADDR=0.0.0.0:8086 \
    LOG_FORMAT=json
EXPOSE 8086
ENTRYPOINT ["/bot"]
CMD ["serve"]
