#!/bin/sh
# Fails if a binary links to anything but the C library and its parts, or is too large.
#
#   docker/check-small.sh BINARY MEGABYTES
set -eu
libraries=$(ldd "$1" | awk '{ print $1 }' | sed 's|.*/||')
for library in $libraries; do
    case $library in
        linux-vdso.so.* | ld-linux* | libc.so.* | libm.so.* | libgcc_s.so.* | libpthread.so.* | libdl.so.* | librt.so.*) ;;
        *) echo "$1 needs $library, which some machines do not have" >&2; exit 1 ;;
    esac
done
bytes=$(wc -c <"$1")
echo "$1: $((bytes / 1000000)) MB, needs" $libraries
[ "$bytes" -le $(($2 * 1000000)) ] || { echo "$1 is larger than $2 MB" >&2; exit 1; }
