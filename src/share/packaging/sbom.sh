#!/bin/sh
# Writes the bill of materials of a release archive beside it, NAME.cdx.json, and prints its name; 77 if a tool for it is missing.
#   sbom.sh RUST ARCHIVE     RUST is the version of Rust that built it; ARCHIVE is named netns-enter-VERSION-TRIPLE.tar.gz
# cargo-cyclonedx describes the crates of Cargo.lock. sbom.jq takes away what is not linked and what differs between two builds, and adds
# what cargo does not know of: the standard library, its crates, and the C library, as the archive's CRATES lists them.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH
umask 022
here=$(cd "$(dirname "$0")" && pwd) rust=$1 archive=$2
for tool in jq cargo-cyclonedx; do
	command -v $tool >/dev/null || { echo "$tool is not installed" >&2; exit 77; }
done

name=$(basename "$archive" .tar.gz) out=$(cd "$(dirname "$archive")" && pwd)
triple=$(echo "$name" | sed 's/^netns-enter-[^-]*-//')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tar -C "$work" -xzf "$archive"
# cargo-cyclonedx writes beside the Cargo.toml that it reads.
mkdir "$work/sources"
cp -R "$here/../../../Cargo.toml" "$here/../../../Cargo.lock" "$here/../../../src" "$work/sources"
(cd "$work/sources" && cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$triple" --override-filename bom >&2)

# Of a Cargo.lock: name, version and checksum of what is not in the tree itself.
checksums() { awk -F'"' '/^name = /{ n = $2 } /^version = /{ v = $2 } /^checksum = /{ print n, v, $2 }' "$1"; }
jq -S --arg rust "$rust" --arg sum "$(sha256sum <"$work/$name/netns-enter" | cut -d' ' -f1)" \
	--rawfile crates "$work/$name/CRATES" \
	--arg checksums "$(checksums "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock")" \
	-f "$here/sbom.jq" "$work/sources/bom.json" >"$work/$name.cdx.json"
mv "$work/$name.cdx.json" "$out/"
echo "$name.cdx.json"
