#!/usr/bin/env bash
# The long version of the fault tests: a job on 5 million rows is killed 20 times and asked to stop 20
# times, and runs with 1,000 damaged parquet files, 200 damaged checkpoints and a full disk (as root only).
# Takes about ten minutes.
#
#     benches/faults/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export TIERS_FAULT_ROWS="${TIERS_FAULT_ROWS:-5000000}" TIERS_FAULT_KILLS="${TIERS_FAULT_KILLS:-20}"
export TIERS_FAULT_VARIANTS="${TIERS_FAULT_VARIANTS:-200}"

test_of() {
  printf '\n== %s\n' "$*" >&2
  cargo test --release -p tiers --test cli "$@" -- --test-threads 1
}

test_of run::killed
test_of run::stale::damaged
TIERS_FAULT_VARIANTS=1000 test_of run::faults::damaged_parquet
test_of run::faults

printf '\n== a full file system\n' >&2
tiers="$(realpath "${CARGO_TARGET_DIR:-target}")/release/tiers"
place="$(mktemp -d)"
trap 'umount "$place/small" 2>/dev/null || true; rm -rf "$place"' EXIT
mkdir "$place/small"
if mount -t tmpfs -o size=256k tmpfs "$place/small" 2>/dev/null; then
  data="$PWD/datasets/egsingle/egsingle.parquet"
  cat > "$place/job.toml" <<TOML
[data]
paths = ["$data"]
[output]
folder = "small/results"
[[models]]
name = "null"
formula = "math ~ 1 + (1 | schoolid)"
[[models]]
name = "growth"
formula = "math ~ year + (1 + year | childid) + (1 | schoolid)"
fitted = true
TOML
  "$tiers" run "$place/job.toml" --quiet --set models.growth.fitted=false || true
  before="$(cd "$place/small/results" && find null growth -type f -exec sha256sum {} + 2>/dev/null | sort || true)"
  code=0
  output="$("$tiers" run "$place/job.toml" --set models.growth.conf_level=0.9 2>&1)" || code=$?
  echo "$output" >&2
  after="$(cd "$place/small/results" && find null growth -type f -exec sha256sum {} + 2>/dev/null | sort || true)"
  [[ $code == 1 && "$before" == "$after" ]] || { echo "FAILED: code $code, or former results changed" >&2; exit 1; }
  [[ "$output" == *"free some space"* ]] || { echo "FAILED: the full disk is not reported" >&2; exit 1; }
  echo "code 1, and the former results are unchanged" >&2
else
  echo "skipped: this user cannot mount a file system" >&2
fi
