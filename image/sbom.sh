#!/bin/sh
# The bill of materials, in CycloneDX: every crate in the binary, with version, hash and licence, from the lock file.
# Needs cargo-cyclonedx; `make sbom` installs it. Prints the file's path.
set -eu
cd "$(dirname "$0")/.."

# With it the document has no serial number and no time: the same lock file gives the same document.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH

# It writes beside Cargo.toml and nowhere else.
cargo cyclonedx --format json --spec-version 1.5 --describe binaries --no-build-deps --quiet >&2
mkdir -p target
# The folder that it was made in is no part of what it describes.
sed "s#path+file://$PWD\##path+file:///sealprove\##" sealprove_bin.cdx.json >target/sealprove.cdx.json
rm sealprove_bin.cdx.json
echo target/sealprove.cdx.json
