#!/usr/bin/env bash
# Builds the images of compose.yaml and runs its services with Podman, where no registry can be
# reached: debootstrap makes the bare Debian that Dockerfile names, tools/postgres.Dockerfile the
# database's image. Needs root on Debian, 25 GiB in .cache/container, the ports 8000 and 8501.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'make container needs root on Debian, for Podman.' >&2 && exit 1; }
apt-get update -qq
apt-get install -qq --no-install-recommends \
    podman runc catatonit netavark aardvark-dns debootstrap python3-venv curl >/dev/null

work=$PWD/.cache/container log=$PWD/.cache/container/log
mkdir -p "$work/tmp"
export TMPDIR=$work/tmp POSTGRES_PASSWORD='ein Geheimnis/%' MOVIEREC_API_KEYS=the-key-of-this-run
export BUILDAH_FORMAT=docker # OCI's format has no HEALTHCHECK
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf
# limits that need no raising: root may not, where this machine is a container itself
cat >"$CONTAINERS_CONF" <<END
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[network]
network_config_dir = "$work/networks"
END
cat >"$CONTAINERS_STORAGE_CONF" <<END
[storage]
driver = "${STORAGE_DRIVER:-overlay}"
graphroot = "$work/storage"
runroot = "$work/run"
END
# the podman-compose of Debian 12 cannot read `env_file` with `required`
python3 -m venv "$work/compose"
"$work/compose/bin/pip" install --quiet --disable-pip-version-check podman-compose==1.6.0
compose() { "$work/compose/bin/podman-compose" --project-name movierec "$@" 2>>"$log"; }
secrets=$(mktemp -d)
end() {
    [ $? = 0 ] || { tail -n 20 "$log" && echo "Failed; the whole log is $log" >&2; }
    compose down --volumes >>"$log" || true
    rm -rf "$secrets"
}
trap end EXIT

# the package index that pip has here is a secret of the builds and is kept nowhere
"$work/compose/bin/python" - >"$secrets/pip.conf" <<'END'
from pip._internal.commands import create_command
pip = create_command("install").parser.get_default_values()
print("[global]\ncert = /run/secrets/certificates")
print(f"index-url = {pip.index_url}\ntimeout = {pip.timeout}\nproxy = {pip.proxy}")
END
cp /etc/ssl/certs/ca-certificates.crt "$secrets/certificates"

debian=$(sed -n 's/^FROM \(debian:[^ ]*\) .*/\1/p' Dockerfile | head -n 1)
if ! podman image exists "$debian"; then
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" | grep '/debian/*$' | sort -u)
    suite=${debian#debian:}
    debootstrap --variant=minbase "${suite%-slim}" "$work/debian" "${mirror%%$'\n'*}" >>"$log"
    tar -C "$work/debian" -c . | podman import --quiet - "$debian"
    rm -rf "$work/debian"
fi
# in a chroot with this machine's network
built="--pull-never --isolation chroot --network host"
given="--secret id=pip,src=$secrets/pip.conf --secret id=certificates,src=$secrets/certificates"
# one after the other: the second takes most from the first
for service in dashboard api; do
    compose --podman-build-args="$built $given" build "$service" >>"$log"
done
# shellcheck disable=SC2086 # the options are wanted apart
podman build $built --tag "$(sed -n 's/.*image: \(postgres:.*\)/\1/p' compose.yaml)" \
    --file tools/postgres.Dockerfile tools >>"$log" 2>&1
podman images --filter dangling=false

well() { # SERVICE: wait until its own health check says so
    for ((second = 0; second < 120; second++)); do
        podman healthcheck run "movierec_$1_1" >>"$log" 2>&1 && echo "$1 is well" && return
        sleep 1
    done
    podman logs --tail 30 "movierec_$1_1"
    exit 1
}
compose up --detach --no-build postgres >>"$log"
well postgres # Podman before 4.6 cannot wait for `service_healthy`
compose up --detach --no-build >>"$log"
well dashboard
well api
compose run --rm -T --no-deps --volume "$secrets/pip.conf:/etc/pip.conf:ro" \
    --volume "$secrets/certificates:/run/secrets/certificates:ro" worker movierec data fetch ml-100k
compose exec -T dashboard movierec train --queue --epochs 2 --json >>"$log"
compose exec -T dashboard movierec runs watch 1
curl --fail --silent --header "Authorization: Bearer $MOVIEREC_API_KEYS" \
    'http://127.0.0.1:8000/recommend?user=196&k=3' | tee -a "$log" | grep --quiet '"reason": *"known"'
echo 'the API recommends to user 196'
# as Docker does it: the database, which podman-compose would stop first, after what needs it
time compose stop --timeout 60 api dashboard worker >>"$log"
compose stop postgres >>"$log"
podman ps --all --format '{{.Names}}: {{.Status}}'
