# shellcheck shell=bash
# What every script needs: the root of the project, words to the person, root rights for one command.
# Words go to standard error, so that standard output stays free for results.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$ROOT"

TOOLS="$ROOT/.tools"
# Tools of this project first: pinned versions, never mixed up with others on the machine.
export PATH="$TOOLS/bin:$TOOLS/node_modules/.bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

if [ -t 2 ]; then BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'; else BOLD='' DIM='' RED='' GREEN='' PLAIN=''; fi

say() { printf '%s\n' "$*" >&2; }
title() { printf '%s\n' "${BOLD}== $*${PLAIN}" >&2; }
die() { printf '%s\n' "${RED}$*${PLAIN}" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Runs one command with the rights to install packages.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else die "This needs root rights, and there is no sudo: $*"
  fi
}

# "3 min 07 s" for seconds.
duration() {
  if [ "$1" -ge 60 ]; then printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); else printf '%d s' "$1"; fi
}
