#!/bin/sh
# A checker that can fail: builds the program with a deliberate mistake, and expects the harness to find it.
#
#     tests/guarantees/chaos/wrong_build.sh acknowledges_first | stores_without_compare
#
# The mistake is a compiler's --cfg, given to this package alone: no dependency is built again, and no
# combination of features can turn it on.
set -eu
cd "$(dirname "$0")/../../.."
mistake=$1
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/wrong"
target=$(cd "$target" && pwd)

# As cargo calls it: the wrapper, then rustc with its arguments.
wrapper="$target/wrong/$mistake.rustc"
printf '#!/bin/sh\nexec "$@" --cfg '\''sealprove_wrong="%s"'\''\n' "$mistake" > "$wrapper"
chmod +x "$wrapper"

# With an example besides, so that features of dependencies are those that `cargo test` has built already.
RUSTC_WORKSPACE_WRAPPER=$wrapper cargo build --locked --bin sealprove --example rogue
cp "$target/debug/sealprove" "$target/wrong/$mistake"
# The right one takes its place again.
cargo build --locked --bin sealprove --example rogue

# Jobs die or freeze where the mistake matters: between the proof and its storage. What the run keeps is not
# needed: it is meant to be bad.
code=0
export TMPDIR="$target/wrong/tmp"
mkdir -p "$TMPDIR"
log="$target/wrong/$mistake.log"
CHAOS_PROGRAM="$target/wrong/$mistake" CHAOS_DURATION="${CHAOS_DURATION:-70}" \
CHAOS_FAULTS="service-killed-before-answer service-frozen-before-answer" \
    tests/guarantees/chaos/run.sh > "$log" 2>&1 || code=$?
cat "$log"
rm -rf "$TMPDIR"
if [ "$code" -eq 0 ] || ! grep -q '^the promise is broken:' "$log"; then
    echo "$mistake: expected the harness to find the promise broken, it ended with $code" >&2
    exit 1
fi
echo "$mistake: found"
