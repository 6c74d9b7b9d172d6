# Debian's PostgreSQL with what compose.yaml uses of the official image, for `make container`.
FROM debian:trixie-slim
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends postgresql-common \
    && echo create_main_cluster = false >> /etc/postgresql-common/createcluster.conf \
    && apt-get install -qq --no-install-recommends postgresql \
    && install -d -o postgres -g postgres /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin \
    PGDATA=/var/lib/postgresql/data \
    LC_ALL=C.UTF-8
USER postgres
STOPSIGNAL SIGINT
CMD [ -s "$PGDATA/PG_VERSION" ] || { \
    printf %s "$POSTGRES_PASSWORD" > /tmp/password \
    && initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 \
    && echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf" \
    && echo "CREATE DATABASE $POSTGRES_DB;" | postgres --single postgres; } \
    && exec postgres -c "listen_addresses=*"
