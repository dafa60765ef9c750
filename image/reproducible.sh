#!/bin/sh
# Builds the image's filesystem twice from the last commit, in two folders of different names, and compares every byte,
# mode and time. Prints the hash of what both are.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Where each is built and what comes of it: a name, and another of another length.
for name in first the-second-one; do
    git clone --quiet . "$work/$name"
    (
        cd "$work/$name"
        image/rootfs.sh "$(image/build.sh)" "$work/$name.rootfs"
        tar --create --sort=name --numeric-owner --file "$work/$name.tar" --directory "$work/$name.rootfs" .
    )
done
cmp "$work/first.tar" "$work/the-second-one.tar" || {
    diff --recursive --brief "$work/first.rootfs" "$work/the-second-one.rootfs" >&2 || true
    echo "reproducible.sh: two builds of one commit differ" >&2
    exit 1
}
echo "sha256:$(sha256sum "$work/first.tar" | cut -d' ' -f1)  the same from two folders"
