#!/bin/sh
# Compiles every test, then runs them all, and says at the end how long each of the two took.
set -u
cd "$(dirname "$0")/.."
start=$(date +%s)
cargo test --locked --no-run || exit
compiled=$(date +%s)
cargo test --locked --no-fail-fast
code=$?
ran=$(date +%s)
minutes() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }
echo "make test: compiled in $(minutes $((compiled - start))), ran in $(minutes $((ran - compiled)))"
exit "$code"
