#!/bin/sh
# Builds the harness and the program under test; prints the path of the harness, so that it can be run without
# cargo between: its exit code says more than cargo's.
set -eu
cd "$(dirname "$0")/../.."
cargo test --locked --no-run --test chaos --message-format json |
    sed -n 's|.*"executable":"\([^"]*/chaos-[0-9a-f]*\)".*|\1|p'
