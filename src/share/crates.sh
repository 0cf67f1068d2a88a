#!/bin/sh
# Lists what is linked into a build: name, version and licence, a line each. Standard input is what cargo says of the build with
# --message-format=json; $1 is the version of Rust, which the standard library's own crates share; $2 is the directory of the
# target's libraries, which holds the C library.
set -eu
export LC_ALL=C

field() { sed -n "s/^$1 *= *\"\\(.*\\)\"/\\1/p" "$2" | head -n 1; }
row() { [ -n "$2" ] && [ -n "$3" ] || { echo "$1 names no version or licence" >&2; exit 1; }; printf '%-26s %-10s %s\n' "$@"; }

# Built beside the library, but not linked: the compiler's own interface, and stand-ins without code.
manifests=$(sed -n '/"reason":"compiler-artifact"/s/.*"manifest_path":"\([^"]*\)".*/\1/p' | grep -Ev '/(proc_macro|rustc-std-workspace-[a-z]+)/' | sort -u)
list=$(row musl "$(grep -aoE '\b1\.[0-9]+\.[0-9]+\b' "$2/lib/self-contained/libc.a" | head -n 1)" MIT)
for manifest in $manifests; do
	version=$(field version "$manifest")
	[ "$version" != 0.0.0 ] || version=$1
	list=$list'
'$(row "$(field name "$manifest")" "$version" "$(field license "$manifest")")
done
printf '%s\n' "$list" | sort
