# shellcheck shell=bash
# Steps of a test run: each is announced, timed, and counted by what it reports; a failed one does not stop the rest.

step_names=() step_results=()
total_passed=0 total_failed=0
run_started=$SECONDS
step_log="$(mktemp)"
trap 'rm -f "$step_log"; stop_ahead' EXIT

# Sums what test runners report at the end: "P passed, F failed". Colours are taken off first.
counted() {
  sed 's/\x1b\[[0-9;]*m//g' "$step_log" | awk '
    # cargo-nextest, once per run; other runners inside it are indented and not counted twice.
    /^ +Summary \[/ {
      for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) passed += $(i - 1); if ($i ~ /^(failed|timed)/) failed += $(i - 1) }
    }
    # cargo test and wasm-bindgen-test, once per binary.
    /^test result:/ {
      for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) passed += $(i - 1); if ($i ~ /^failed/) failed += $(i - 1) }
    }
    END { print passed + 0, failed + 0 }'
}

# Puts into cpu_s the seconds of processor time that all finished commands have taken so far.
count_cpu() {
  # Not in a subshell: that would count its own.
  times >"$step_log"
  cpu_s="$(awk '{ for (i = 1; i <= 2; i++) { split($i, at, /[ms]/); total += at[1] * 60 + at[2] } } END { printf "%d", total }' "$step_log")"
}

# step NAME COMMAND...: a step without tests of its own counts as one.
step() {
  local name="$1" started=$SECONDS status=0 passed failed words took cpu_s cpu_before
  count_cpu
  cpu_before="$cpu_s"
  shift
  title "$name"
  # Not `if (…)`: inside a condition, bash would go on after a failing line.
  set +e
  (set -euo pipefail; "$@") </dev/null 2>&1 | tee "$step_log" >&2
  status=${PIPESTATUS[0]}
  set -e
  read -r passed failed <<<"$(counted)"
  count_cpu
  if [ "$status" = 0 ] && [ $((passed + failed)) = 0 ]; then passed=1; fi
  if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  took="$(duration $((SECONDS - started))), $((cpu_s - cpu_before)) s of processor time"
  words="${GREEN}ok${PLAIN}    "
  [ "$failed" = 0 ] || words="${RED}FAILED${PLAIN}"
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  step_names+=("$name")
  step_results+=("$([ "$failed" = 0 ] && echo ok || echo failed)|$words  $(printf '%-16s %5d passed %3d failed' "$name" "$passed" "$failed")  ${DIM}$took${PLAIN}")
  say "${words% *} $name ($took)"
}

# needs NAME COMMAND...: runs the command unless the step of that name failed or was left out.
needs() {
  local wanted="$1" i
  shift
  for i in "${!step_names[@]}"; do
    if [ "${step_names[$i]}" = "$wanted" ] && [[ "${step_results[$i]}" == ok\|* ]]; then "$@"; return; fi
  done
  # Skipped because of another failure, which is the one that counts; this one is only mentioned.
  say "left out: $2 (needs $wanted)"
  step_names+=("$2")
  step_results+=("failed|${RED}left out${PLAIN} $2 (needs $wanted)")
}

summary() {
  local cpu_s
  count_cpu
  title "summary ($(duration $((SECONDS - run_started))), $cpu_s s of processor time)"
  local result
  for result in "${step_results[@]}"; do say "  ${result#*|}"; done
  printf '%d passed, %d failed\n' "$total_passed" "$total_failed"
  [ "$total_failed" = 0 ]
}
