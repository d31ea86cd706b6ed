# shellcheck shell=bash
# Long builds: what is built, how long it takes, and how far it is.

# The process group of a build in the background, its output, and whether this shell is it: see start_ahead.
ahead='' ahead_log='' is_ahead=''

# Seconds between two lines of progress where standard error is no terminal.
PROGRESS_EVERY_S=15

# "about 2 min" for seconds: rounded up, below a minute to ten seconds.
about() {
  if [ "$1" -lt 60 ]; then printf 'about %d s' $((($1 + 9) / 10 * 10)); else printf 'about %d min' $((($1 + 59) / 60)); fi
}

# build_step NAME SECONDS COMMAND...: runs a build that takes about SECONDS on two cores.
# On a terminal Cargo draws its own progress bar. Elsewhere a line appears every PROGRESS_EVERY_S seconds, and the build's
# own output only when it fails.
build_step() {
  local name="$1" seconds="$2" started=$SECONDS status=0 log reporter
  shift 2
  say "$name ($(about "$seconds") on two cores)"
  if [ -t 2 ] || [ -n "$is_ahead" ]; then
    "$@" </dev/null >&2
    return
  fi
  log="$(mktemp)"
  report_progress "$log" "$$" &
  reporter=$!
  CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 "$@" </dev/null >"$log" 2>&1 || status=$?
  kill "$reporter" 2>/dev/null || true
  wait "$reporter" 2>/dev/null || true
  if [ "$status" = 0 ]; then
    say "  done in $(duration $((SECONDS - started)))"
  else
    # Without what Cargo drew its bar with.
    tr '\r' '\n' <"$log" | grep -v -e '^ *$' -e '^ *Building \[' -e '^ *Compiling ' | tail -n 100 >&2
  fi
  rm -f "$log"
  return "$status"
}

# start_ahead COMMAND...: runs a build, or a function that builds, in the background, with what the rest leaves of the
# processor. One at a time. It only saves time: what needs the result calls finish_ahead and builds it in the ordinary way,
# which then has nothing to do or shows what is wrong.
start_ahead() {
  ahead_log="$(mktemp)"
  # A process group of its own, so that all of it can be ended.
  set -m
  (
    set -euo pipefail
    is_ahead=yes
    renice -n 19 -p "$BASHPID" >/dev/null 2>&1 || true
    export CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100
    "$@"
  ) </dev/null >"$ahead_log" 2>&1 &
  ahead=$!
  set +m
}

# finish_ahead NAME: waits for it.
finish_ahead() {
  [ -n "$ahead" ] || return 0
  local reporter
  if kill -0 "$ahead" 2>/dev/null; then
    say "Waiting for $1, which began beside other work (a few minutes at most)"
    renice -n 0 -g "$ahead" >/dev/null 2>&1 || true
    report_progress "$ahead_log" "$$" &
    reporter=$!
    wait "$ahead" || true
    kill "$reporter" 2>/dev/null || true
    wait "$reporter" 2>/dev/null || true
  fi
  stop_ahead
}

stop_ahead() {
  [ -n "$ahead" ] || return 0
  kill -- "-$ahead" 2>/dev/null || true
  wait "$ahead" 2>/dev/null || true
  rm -f "$ahead_log"
  ahead=''
}

# report_progress LOG PARENT: how far Cargo says it is, until PARENT is gone.
report_progress() {
  local log="$1" parent="$2" started=$SECONDS at
  # Ends with the build: nothing writes to this pipe, so that reading from it only takes time.
  exec 9<> <(:)
  while kill -0 "$parent" 2>/dev/null; do
    read -r -t "$PROGRESS_EVERY_S" -u 9 || true
    at="$(tail -c 8192 "$log" | tr '\r' '\n' | sed -n 's|^ *Building \[.*\] *\([0-9]*\)/\([0-9]*\).*|\1 of \2 crates|p; s|^.*DEBUG \(calling [a-z-]*\).*|\1|p; s|^ *\(Downloading\|Updating\) .*|\1|p' | tail -n 1)"
    kill -0 "$parent" 2>/dev/null || break
    say "  $(duration $((SECONDS - started)))${at:+: $at}"
  done
}
