#!/usr/bin/env bash
# Forms and starts three gates, a datacenter of three managers, and three workers on 127.0.0.1, and
# leaves them running: `up.sh` from the root of the repository after `cargo build --release`. A
# second call starts what is not running. Stop everything with `up.sh down`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
bin=${HYPERSCALE_BIN:-${CARGO_TARGET_DIR:-target}/release}
files=bins/examples/cluster
state=hyperscale-state/cluster
gates=http://127.0.0.1:7401,http://127.0.0.1:7402,http://127.0.0.1:7403

running() {
  [[ -f $state/$1.pid ]] && kill -0 "$(<"$state/$1.pid")" 2>/dev/null
}

# The first founds the group; the others join it once they run.
form() {
  local role=$1 n how=init
  for n in 1 2 3; do
    if [[ ! -e $state/$role$n/identity.json ]]; then
      "$bin/hyperscale" cluster "$how" --config "$files/$role$n.toml"
    fi
    how=join
  done
}

start() {
  local role=$1 n
  for n in 1 2 3; do
    if ! running "$role$n"; then
      "$bin/hyperscale-$role" --config "$files/$role$n.toml" \
        >>"$state/$role$n.log" 2>&1 </dev/null &
      echo $! >"$state/$role$n.pid"
    fi
  done
}

down() {
  local name file
  for name in worker gate manager; do
    for file in "$state/$name"*.pid; do
      [[ -f $file ]] && kill "$(<"$file")" 2>/dev/null || true
      rm -f "$file"
    done
  done
}

if [[ ${1:-} == down ]]; then
  down
  exit
fi

mkdir -p "$state"
form gate
form manager
for role in gate manager worker; do start "$role"; done

# Ready: a gate can commit, all three gates vote and have sessions, and it knows all workers.
wanted='^gate n[0-9]+ ready,|gate n.* voter +session|dc1 .* reachable +3 workers'
for _ in $(seq 150); do
  view=$("$bin/hyperscale" cluster --gate "$gates" --timeout 1 2>/dev/null || true)
  if [[ $(grep -cE "$wanted" <<<"$view") == 5 ]]; then
    echo "$view"
    echo "export HYPERSCALE_GATES=$gates"
    exit
  fi
  sleep 0.2
done
echo "not ready after 30 s; the logs are $state/*.log" >&2
echo "$view" >&2
exit 1
