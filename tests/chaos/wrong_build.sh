#!/bin/sh
# A checker that can fail: builds the program with a deliberate mistake, and expects the harness to find it.
#
#     tests/chaos/wrong_build.sh acknowledges_first | stores_without_compare
#
# The mistake is a compiler's --cfg, given to this package alone: no dependency is built again, and no
# combination of features can turn it on.
set -eu
cd "$(dirname "$0")/../.."
mistake=$1
target=${CARGO_TARGET_DIR:-target}

# As cargo calls it: the wrapper, then rustc with its arguments.
wrapper="$PWD/$target/wrong/$mistake.rustc"
mkdir -p "$target/wrong"
printf '#!/bin/sh\nexec "$@" --cfg '\''sealprove_wrong="%s"'\''\n' "$mistake" > "$wrapper"
chmod +x "$wrapper"

# With a test besides, so that features of dependencies are those that `cargo test` has built already.
RUSTC_WORKSPACE_WRAPPER=$wrapper cargo build --locked --bin sealprove --test chaos_parts
cp "$target/debug/sealprove" "$target/wrong/$mistake"
# The right one takes its place again.
cargo build --locked --bin sealprove --test chaos
harness=$(tests/chaos/harness.sh)

# Jobs die or freeze where the mistake matters: between the proof and its storage.
code=0
CHAOS_PROGRAM="$target/wrong/$mistake" CHAOS_DURATION="${CHAOS_DURATION:-70}" \
CHAOS_FAULTS="service-killed-before-answer service-frozen-before-answer" "$harness" || code=$?
if [ "$code" -ne 1 ]; then
    echo "$mistake: expected the harness to end with 1, it ended with $code" >&2
    exit 1
fi
echo "$mistake: found"
