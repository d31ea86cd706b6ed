# shellcheck shell=bash
# Builds and runs the fuzz targets of tests/fuzz with libFuzzer, by the stable compiler.
# shellcheck source=scripts/lib/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

# Inputs that made a target fail, in one folder for each target.
FUZZ_FAILURES="$TARGET/fuzz/failures"

# The names of all fuzz targets.
fuzz_targets() {
  local file
  for file in tests/fuzz/fuzz_targets/*.rs; do basename "$file" .rs; done
}

# Counters at each edge, the table of their places, and what comparisons compare: what cargo-fuzz passes too. The address
# sanitizer needs another compiler, and no crate of this project has unsafe code.
build_fuzz_targets() {
  local llvm flags='-Cpasses=sancov-module' host
  for llvm in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$llvm"
  done
  flags+=' --cfg=fuzzing'
  host="$(rustc -vV | sed -n 's/^host: //p')"
  ensure_packages g++ g++
  # With a target named, build scripts and macros are not instrumented.
  RUSTFLAGS="$flags" CARGO_TARGET_DIR="$TARGET/fuzz" build_step "Building the fuzz targets" 420 \
    cargo build --locked --manifest-path tests/fuzz/Cargo.toml --profile fuzz --target "$host" --bins
  FUZZ_BIN="$TARGET/fuzz/$host/fuzz"
}

# fuzz_target NAME SECONDS: runs one target and prints its figures as a line of JSON. Fails if an input made it fail.
# It begins with the corpus of the tree and with what earlier runs on this machine found.
fuzz_target() {
  local name="$1" seconds="$2" found="$TARGET/fuzz/corpus/$1" failures="$FUZZ_FAILURES/$1" log status=0
  local execs coverage crashes
  mkdir -p "$found" "$failures"
  # Those of an earlier run do not count.
  find "$failures" -type f -delete
  log="$(mktemp)"
  "$FUZZ_BIN/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -seed=1 -print_final_stats=1 \
    -artifact_prefix="$failures/" "$found" "tests/fuzz/corpus/$name" </dev/null >"$log" 2>&1 || status=$?
  execs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  coverage="$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2 || true)"
  crashes="$(find "$failures" -type f | wc -l)"
  printf '{"bench":"fuzz","figure":"execs","target_name":"%s","value":%d,"unit":"execs","seconds":%d,"crashes":%d,"coverage":%d,"seed":1}\n' \
    "$name" "${execs:-0}" "$seconds" "$crashes" "${coverage:-0}"
  if [ "$status" != 0 ]; then
    tail -n 30 "$log" >&2
    say "$name failed; the input is in $failures"
  fi
  rm -f "$log"
  return "$status"
}

# bench_fuzz SECONDS [NAME...]: runs these targets, or all, for this number of seconds each.
bench_fuzz() {
  local seconds="$1" name targets failed=()
  shift
  targets=("$@")
  if [ "${#targets[@]}" = 0 ]; then mapfile -t targets < <(fuzz_targets); fi
  build_fuzz_targets
  for name in "${targets[@]}"; do
    [ -f "tests/fuzz/fuzz_targets/$name.rs" ] || die "There is no fuzz target $name."
    title "fuzz $name"
    fuzz_target "$name" "$seconds" || failed+=("$name")
  done
  [ "${#failed[@]}" = 0 ] || die "An input made these fail: ${failed[*]}. The inputs are in $FUZZ_FAILURES"
}
