# shellcheck shell=bash
# Builds the app and the relay, each only when something it is made of has changed.
# shellcheck source=scripts/lib/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

TARGET="${CARGO_TARGET_DIR:-$ROOT/target}"
# Exported for hooks and tests alike: one relay, one app.
RELAY="$TARGET/release/relay-node"

# A hash of everything the app is made of. Trunk itself would start over each time.
app_stamp() {
  {
    find client-wasm engine gossip ordered protocol www scripts/app -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    sha256sum Cargo.toml Cargo.lock Trunk.toml rust-toolchain.toml scripts/lib/build.sh
    wasm-opt --version
    app_cargo_env
    echo "$WASM_SPLIT_VERSION"
  } | sha256sum | cut -d' ' -f1
}

# Whether the app brings a standard library of its own, in which a panic has no message: 18 kB less to download. That is not
# stable in Rust, but the compiler is pinned. With another compiler, or without the library's source, the app is built as usual.
app_builds_std() {
  rustc --version | grep -qF " $(pinned_rust) " && [ -f "$(rustc --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ]
}

# What Cargo needs to know for that.
app_cargo_env() {
  if app_builds_std; then printf '%s\n' RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort; fi
}

# Names of source files in what people download begin with the crate, not with the builder's home. SHA-2, which signatures
# hash a few hundred bytes with, is a loop and not that loop written out. What the linker replaced stays listed: without that list
# nothing can be taken out of the program afterwards.
app_rustflags() {
  local sources
  if app_builds_std; then printf -- '-Zunstable-options -Cpanic=immediate-abort '; fi
  printf -- '--cfg=sha2_backend_soft="compact" -Clink-arg=--emit-relocs '
  for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    printf -- '--remap-path-prefix=%s= ' "$sources"
  done
}

build_app() {
  local stamp file="$TARGET/app.stamp"
  stamp="$(app_stamp)"
  if [ -f dist/index.html ] && [ -f "$file" ] && [ "$(cat "$file")" = "$stamp" ]; then
    say "The app is up to date."
    return
  fi
  rm -f "$file"
  # Trunk says when it calls the tools, which Cargo's progress bar does not count. It reads NO_COLOR as a flag that wants a
  # value of true or false.
  # The wasm-bindgen that it finds first takes out of the program what is loaded later.
  RUSTFLAGS="$(app_rustflags)" RUST_LOG=error,trunk=info,trunk::pipelines::rust=debug PATH="$ROOT/scripts/app/bin:$PATH" \
    STARLING_APP_PARTS="$TARGET/app-parts" build_step "Building the app" 120 \
    env -u NO_COLOR $(app_cargo_env) trunk build --release --locked --features split
  mkdir -p "$TARGET"
  printf '%s\n' "$stamp" >"$file"
}

# The app must be there first: the relay carries it inside.
build_relay() {
  build_step "Building the relay" "${relay_seconds:-240}" \
    cargo build --locked --release --package starling-relay-node --bin relay-node
}

# All of the relay but the app in it.
build_relay_library() {
  cargo build --locked --release --package starling-relay-node --lib
}

# build_gossip_page NAME: an example of the gossip library for browsers, as a page in $TARGET/examples/NAME.
build_gossip_page() {
  say "Building the gossip library's example $1 for browsers"
  gossip/examples/page "$1" </dev/null >&2
}
