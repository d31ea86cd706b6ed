# shellcheck shell=bash
# Installs what is missing, and says so. Every function is quick and silent when there is nothing to do.
# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/lib/progress.sh
source "$ROOT/scripts/lib/progress.sh"

# The command line tool and the crate must be the same version; Cargo.toml pins the crate.
WASM_BINDGEN_VERSION=0.2.130
# Later lines of trunk ask for a newer compiler than rust-toolchain.toml names.
TRUNK_VERSION=0.21.14
WASM_SPLIT_VERSION=0.2.4
NEXTEST_VERSION=0.9.143
BINARYEN_VERSION=132.0.0
AXE_VERSION=4.14.1
NOSTR_RELAY_VERSION=0.8.12

# download_step NAME SECONDS: says what is downloaded and installed next, and about how long that takes; it depends on the
# network.
download_step() { say "$1 ($(about "$2"))"; }

# package_seconds PACKAGE...: about how long installing them takes, with what they need.
package_seconds() {
  local package seconds=10
  for package in "$@"; do
    case "$package" in
      build-essential | chromium | npm) seconds=$((seconds + 50)) ;;
      rustup | etcd-server | chromium-driver | libprotobuf-dev) seconds=$((seconds + 10)) ;;
      *) seconds=$((seconds + 2)) ;;
    esac
  done
  printf '%d' "$seconds"
}

# install_packages PACKAGE...
install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL="${RUNLEVEL:-}")
  as_root "${apt[@]}" apt-get update -q >&2 \
    || say "The package lists could not be refreshed everywhere; going on with what there is."
  as_root "${apt[@]}" apt-get install -y -q --no-install-recommends "$@" </dev/null >&2
}

# ensure_packages COMMAND PACKAGE...: installs Debian packages when COMMAND is missing.
ensure_packages() {
  local command="$1"
  shift
  have "$command" && return
  have apt-get || die "\`$command\` is missing and this system has no apt: install what provides it, then run this again."
  download_step "Installing $* for \`$command\`" "$(package_seconds "$@")"
  install_packages "$@"
  hash -r
  have "$command" || die "Installing $* did not bring \`$command\`."
}

# fetch URL FILE
fetch() {
  if have curl; then
    curl --proto '=https' --tlsv1.2 -fsSL --retry 3 -o "$2" "$1"
  elif have wget; then
    wget -q -O "$2" "$1"
  else
    ensure_packages python3 python3
    python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], sys.argv[2])' "$1" "$2"
  fi
}

# Rustup's own installer, checked against the sum its makers publish beside it. Leaves the shell's start files alone.
install_rustup() {
  local triple from folder
  triple="$(uname -m)-unknown-linux-gnu"
  from="https://static.rust-lang.org/rustup/dist/$triple/rustup-init"
  folder="$(mktemp -d)"
  download_step "Installing rustup into ${CARGO_HOME:-$HOME/.cargo}" 10
  fetch "$from" "$folder/rustup-init" && fetch "$from.sha256" "$folder/sum" \
    && echo "$(cut -d' ' -f1 "$folder/sum")  $folder/rustup-init" | sha256sum --check --status \
    && chmod +x "$folder/rustup-init" \
    && "$folder/rustup-init" -y -q --default-toolchain none --profile minimal --no-modify-path >&2
  local done=$?
  rm -rf "$folder"
  return "$done"
}

pinned_rust() { sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml; }

# What the client of etcd is generated with when it is built.
ensure_protoc() {
  ensure_packages protoc protobuf-compiler libprotobuf-dev
  local include
  include="$(dirname "$(dirname "$(command -v protoc)")")/include/google/protobuf/descriptor.proto"
  [ -f "$include" ] || [ -f /usr/include/google/protobuf/descriptor.proto ] || {
    download_step "Installing libprotobuf-dev" "$(package_seconds libprotobuf-dev)"
    install_packages libprotobuf-dev
  }
}

# For tests and benchmarks of the registry: a real one. Its package must not start a service of its own.
ensure_etcd() {
  RUNLEVEL=1 ensure_packages etcd etcd-server
  ensure_packages etcdctl etcd-client
}

# For tests with a network or a disk of their own, made by the kernel: one is cut in two, the other is full.
ensure_network_tools() {
  ensure_packages ip iproute2
  ensure_packages unshare util-linux
  ensure_packages mount mount
}

ensure_rust() {
  ensure_packages cc build-essential
  ensure_protoc
  if ! have cargo && ! have rustup; then
    download_step "Installing rustup" 20
    # Some Debian releases have it as a package, older ones do not.
    (ensure_packages rustup rustup 2>/dev/null) || install_rustup \
      || die "Rust is missing and could not be installed: install rustup as https://rustup.rs describes, then run this again."
    hash -r
  fi
  local pinned
  pinned="$(pinned_rust)"
  if ! have rustup; then
    # A compiler from elsewhere will do when it is the right one and knows wasm.
    rustc --version | grep -qF "$pinned" || say "No rustup here: using $(rustc --version), the project is built with $pinned."
    return
  fi
  if ! rustup run "$pinned" rustc --version >/dev/null 2>&1; then
    download_step "Installing Rust $pinned" 60
    if ! rustup toolchain install "$pinned" --profile minimal --component clippy,rustfmt >&2; then
      # The same compiler may be here under another name, such as "stable".
      local name found=''
      for name in $(rustup toolchain list --quiet 2>/dev/null || rustup toolchain list | cut -d' ' -f1); do
        if rustup run "$name" rustc --version 2>/dev/null | grep -qF " $pinned "; then found="$name"; fi
      done
      [ -n "$found" ] || die "Rust $pinned could not be installed."
      say "Using toolchain $found, which is Rust $pinned"
      export RUSTUP_TOOLCHAIN="$found"
    fi
  fi
  local component
  for component in clippy rustfmt; do
    rustup component list --installed | grep -q "^$component" && continue
    download_step "Installing Rust's $component" 10
    rustup component add "$component" >&2
  done
  # The app is smaller with it, and is built without it, too.
  if ! rustup component list --installed | grep -q '^rust-src'; then
    download_step "Installing the source of Rust's standard library" 10
    rustup component add rust-src >&2 || say "It could not be installed: the app is 18 kB larger."
  fi
  if ! rustup target list --installed | grep -qx wasm32-unknown-unknown; then
    download_step "Installing Rust for wasm" 20
    rustup target add wasm32-unknown-unknown >&2
  fi
}

# ensure_crate COMMAND VERSION CRATE SECONDS [FLAG...]: a Rust program of exactly that version, into .tools/. An interrupted
# build goes on where it was.
ensure_crate() {
  local command="$1" version="$2" crate="$3" seconds="$4"
  shift 4
  if "$command" --version 2>/dev/null | grep -qwF "$version"; then return; fi
  # Some programs do not say their version.
  if have "$command" && grep -qsF "\"$crate $version " "$TOOLS/.crates.toml"; then return; fi
  if fetch_crate "$crate" "$version" && hash -r && have "$command"; then return; fi
  CARGO_TARGET_DIR="$TOOLS/build/$crate" build_step "Building $crate $version, once" "$seconds" \
    cargo install "$crate" --version "$version" "$@" --root "$TOOLS" --force
  rm -rf "$TOOLS/build/$crate"
  hash -r
}

# fetch_crate CRATE VERSION: a prebuilt program, into .tools/. Only where cargo-binstall is installed, which knows
# where such programs are and checks them; fails where there is none.
fetch_crate() {
  have cargo-binstall || return 1
  download_step "Looking for a built $1 $2" 20
  cargo binstall --no-confirm --disable-telemetry --strategies crate-meta-data,quick-install --root "$TOOLS" "$1@$2" >&2
}

# ensure_tool: like ensure_crate, for programs that run for a second: unoptimised they are built in a fifth of the time that
# their own release profiles (link-time optimisation, one unit of code) take.
ensure_tool() {
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=symbols ensure_crate "$@"
}

ensure_wasm_bindgen() {
  grep -qF "wasm-bindgen = \"=$WASM_BINDGEN_VERSION\"" Cargo.toml \
    || die "Cargo.toml pins another wasm-bindgen than scripts/lib/tools.sh ($WASM_BINDGEN_VERSION): they must be the same."
  # Without --locked: the lock file it ships names a crate that is not to be had. Without its default features: it would speak
  # TLS with remote browser drivers, which nothing here has.
  ensure_tool wasm-bindgen "$WASM_BINDGEN_VERSION" wasm-bindgen-cli 40 --no-default-features \
    --bin wasm-bindgen --bin wasm-bindgen-test-runner
}

# Without its default features: it would look for newer versions of itself and download the tools that are installed here.
ensure_trunk() {
  ensure_tool trunk "$TRUNK_VERSION" trunk 120 --locked --no-default-features
}

# Takes out of the app what is loaded later.
ensure_wasm_split() {
  ensure_tool wasm-split-cli "$WASM_SPLIT_VERSION" wasm_split_cli_support 40 --locked --features build-binary
}

# Optional: without it the app is a little larger and works the same.
ensure_wasm_opt() {
  if have wasm-opt && ! wasm-opt --version | grep -q 'no optimizer'; then return; fi
  ensure_npm_package binaryen "$BINARYEN_VERSION" && return
  say "No wasm-opt (npm is missing or failed): the app is built without its last shrinking step."
  mkdir -p "$TOOLS/bin"
  cp scripts/lib/no-wasm-opt "$TOOLS/bin/wasm-opt"
}

# What the app's files are compressed with when it is built: Node.js can, else Debian's command. Without either the relay
# serves them with gzip, a third larger.
ensure_brotli() {
  if have node || have brotli; then return; fi
  (ensure_packages brotli brotli) || say "No brotli: the app's files are compressed with gzip only."
}

# ensure_npm_package NAME VERSION: into .tools/node_modules; fails where npm cannot.
ensure_npm_package() {
  local at="$TOOLS/node_modules/$1/package.json"
  if [ -f "$at" ] && grep -qF "\"version\": \"$2\"" "$at"; then return; fi
  have npm || return 1
  download_step "Fetching $1 $2 from npm" 20
  mkdir -p "$TOOLS"
  [ -f "$TOOLS/package.json" ] || printf '{ "private": true }\n' >"$TOOLS/package.json"
  npm install --prefix "$TOOLS" --save-exact --no-audit --no-fund --loglevel=error "$1@$2" </dev/null >&2
}

ensure_wasm_tools() {
  ensure_wasm_bindgen
  ensure_trunk
  ensure_wasm_split
  ensure_wasm_opt
  ensure_brotli
  # The build's last step is a Python script.
  ensure_packages python3 python3
}

# Optional: `cargo test` does the same, one binary after the other.
ensure_nextest() {
  have cargo-nextest && return
  (ensure_crate cargo-nextest "$NEXTEST_VERSION" cargo-nextest 300 --locked) || say "No cargo-nextest: using cargo test."
}

# Only to measure beside ours. Without --locked: its lock file names a `time` that newer compilers refuse.
ensure_nostr_relay() {
  have protoc || ensure_packages protoc protobuf-compiler
  ensure_crate nostr-rs-relay "$NOSTR_RELAY_VERSION" nostr-rs-relay 600
}

ensure_chromium() {
  if [ -z "${STARLING_CHROMIUM:-}" ] && ! have chromium-browser && ! have google-chrome; then
    ensure_packages chromium chromium
  fi
  ensure_packages chromedriver chromium-driver
}

ensure_axe() {
  have npm || ensure_packages npm npm
  ensure_npm_package axe-core "$AXE_VERSION" || die "axe-core could not be fetched from npm."
}
