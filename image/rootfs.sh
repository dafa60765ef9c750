#!/bin/sh
# The image's whole root filesystem, from a binary that is built: the binary, the libraries that its loader names, the
# system's certificate authorities, a user that is nobody, and the places where the cluster mounts things. No shell, no
# package manager, nothing else that could be started.
#
#   image/rootfs.sh BINARY FOLDER
#
# Two runs over the same binary on the same system make the same bytes, with SOURCE_DATE_EPOCH (default 0) as the time
# of all files. The Dockerfile copies what this makes, and tests/service/image.rs runs it.
set -eu

binary=$1 root=$2
test -x "$binary" || { echo "rootfs.sh: no program $binary; build it first" >&2; exit 1; }
test ! -e "$root" || { echo "rootfs.sh: $root is there already" >&2; exit 1; }
umask 022

# --- The program and its libraries ----------------------------------------------------------------------

install -D -m 0755 "$binary" "$root/usr/bin/sealprove"
# "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", and the loader as "/lib64/ld-linux-x86-64.so.2 (0x…)".
libraries=$(ldd "$binary" | sed -n -e 's/^.*=> \(\/[^ ]*\) .*$/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (.*$/\1/p')
test -n "$libraries" || { echo "rootfs.sh: ldd names no library of $binary" >&2; exit 1; }
for library in $libraries; do
    install -D -m 0755 "$library" "$root$library"
done

# What they are and under which licence, where scanners of images look for Debian's packages.
if command -v dpkg-query >/dev/null; then
    mkdir -p "$root/var/lib/dpkg/status.d"
    for library in $libraries; do
        # Debian knows a file by the name that it was packed under, which may be without /usr.
        package=$(dpkg-query --search "$library" "$(readlink -f "$library")" "/usr$library" 2>/dev/null |
            sed -n '1s/:.*$//p')
        test -n "$package" || continue
        dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
        install -D -m 0644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
    done
fi

# --- What a program expects of a system -----------------------------------------------------------------

install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
echo 'nobody:x:65532:65532:sealprove:/:/nologin' >"$root/etc/passwd"
echo 'nobody:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# --- Where things are mounted: the root itself is read-only ---------------------------------------------

for folder in config bundle keys broker; do
    mkdir -p "$root/etc/sealprove/$folder"
done
mkdir -p "$root/desk" "$root/dev" "$root/proc" "$root/sys" "$root/tmp"
chmod 1777 "$root/tmp"

find "$root" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
