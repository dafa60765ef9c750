#!/bin/sh
# The release binary of the image: from the lock file alone, and the same wherever and whenever it is built with the
# same toolchain. Prints its path.
set -eu
cd "$(dirname "$0")/.."

# The time that compilers and packagers write instead of now: that of the commit, where there is one.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
# Paths stand in panic messages. They say the same in whatever folder it is built.
RUSTFLAGS="--remap-path-prefix=$PWD=/sealprove --remap-path-prefix=$cargo_home=/cargo"
CARGO_PROFILE_RELEASE_STRIP=symbols
# Parts that are compiled side by side come out the same, but not with incremental builds.
CARGO_INCREMENTAL=0
export SOURCE_DATE_EPOCH RUSTFLAGS CARGO_PROFILE_RELEASE_STRIP CARGO_INCREMENTAL

cargo build --release --locked --bin sealprove --target-dir target/image >&2
echo target/image/release/sealprove
