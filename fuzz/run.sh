#!/usr/bin/env bash
# Runs every fuzz target for so many seconds, and fails with the inputs that broke one. New inputs that reach
# new code are kept in found/, which git ignores; the corpora that are committed are only read.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?how many seconds each target runs}
cargo_fuzz=${CARGO_FUZZ:-cargo-fuzz}
# The sanitizers are in the stable compiler, behind this.
export RUSTC_BOOTSTRAP=1

"$cargo_fuzz" build --fuzz-dir .
broken=()
for target in $("$cargo_fuzz" list --fuzz-dir .); do
    echo "fuzz: $target, $seconds s"
    mkdir -p "found/$target" "artifacts/$target"
    # No target has a use for more memory than this, or for more time.
    if ! "$cargo_fuzz" run --fuzz-dir . "$target" "found/$target" "corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 -print_final_stats=1; then
        broken+=("fuzz/artifacts/$target/$(ls -t "artifacts/$target" | head -n 1)")
    fi
done

if ((${#broken[@]})); then
    printf 'fuzz: broken by %s\n' "${broken[@]}" >&2
    exit 1
fi
