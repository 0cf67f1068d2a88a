#!/bin/sh
# Makes a Debian package or an RPM of a release archive: the very files that are in it, so whoever trusts the one can trust the other.
#   packages.sh deb|rpm ARCHIVE     writes the package beside the archive and prints its name; 77 if the tool for it is missing
# ARCHIVE is named netns-enter-VERSION-TRIPLE.tar.gz. Dates are SOURCE_DATE_EPOCH, owners are root: the same archive makes the same package
# with the same version of dpkg-deb or rpmbuild. MAINTAINER= is who packages.
set -eu
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH
umask 022
here=$(cd "$(dirname "$0")" && pwd) kind=$1 archive=$2
MAINTAINER=${MAINTAINER:-netns-enter developers <noreply@netns-enter.invalid>}

name=$(basename "$archive" .tar.gz) out=$(cd "$(dirname "$archive")" && pwd)
machine=${name#netns-enter-*-} version=${name#netns-enter-}
machine=${machine%%-*} version=${version%%-*}
case $machine in
	x86_64) debian=amd64 ;;
	aarch64) debian=arm64 ;;
	*) debian=$machine ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tar -C "$work" -xzf "$archive"
files=$work/$name root=$work/root

put() { install -D -m "$1" "$files/$2" "$root/$3"; }
# What both have, where Debian and Fedora agree.
put 755 netns-enter usr/bin/netns-enter
put 644 netns-enter.8 usr/share/man/man8/netns-enter.8
gzip -9n "$root/usr/share/man/man8/netns-enter.8"
put 644 completions/netns-enter.bash usr/share/bash-completion/completions/netns-enter
put 644 completions/netns-enter.fish usr/share/fish/vendor_completions.d/netns-enter.fish
put 644 README.md usr/share/doc/netns-enter/README.md
put 644 CRATES usr/share/doc/netns-enter/CRATES

deb() {
	command -v dpkg-deb >/dev/null || { echo 'dpkg-deb is not installed' >&2; exit 77; }
	package=netns-enter_$version-1_$debian.deb doc=$root/usr/share/doc/netns-enter
	put 644 completions/_netns-enter usr/share/zsh/vendor-completions/_netns-enter
	install -D -m 644 "$here/lintian-overrides" "$root/usr/share/lintian/overrides/netns-enter"
	{
		echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
		echo 'Upstream-Name: netns-enter'
		echo 'Comment: The program is linked with the crates that the file CRATES lists, each with its licence.'
		echo
		echo 'Files: *'
		sed -n 's/^Copyright (c) /Copyright: /p' "$files/LICENSE"
		echo 'License: Expat'
		sed '1,/^Copyright/d; s/^$/./; s/^/ /' "$files/LICENSE" | sed '1{/^ \.$/d}'
	} >"$doc/copyright"
	{
		echo "netns-enter ($version-1) unstable; urgency=medium"
		printf '\n  * Release %s; the README has the changes.\n\n' "$version"
		echo " -- $MAINTAINER  $(date -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$doc/changelog.Debian.gz"
	gzip -9n "$doc/README.md"
	mkdir "$root/DEBIAN"
	(cd "$root" && find usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
	# As dpkg-gencontrol counts: KiB begun of each file, and one for whatever else there is. A file system's blocks differ.
	size=$(find "$root/usr" -type f -printf '%s\n' -o -printf '1\n' | awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
	cat >"$root/DEBIAN/control" <<-END
		Package: netns-enter
		Version: $version-1
		Section: net
		Priority: optional
		Architecture: $debian
		Maintainer: $MAINTAINER
		Installed-Size: $size
		Description: enter the network namespace of a container, pod or process
		 netns-enter finds the network namespace of a process, container, pod, address
		 or interface from files and /proc alone, enters it, and runs one of the host's
		 tools there. It asks no daemon and never guesses: whatever is in doubt ends
		 with exit status 125, and nothing is run.
	END
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb -Zxz --root-owner-group --build "$root" "$work/$package" >&2
}

rpm() {
	command -v rpmbuild >/dev/null || { echo 'rpmbuild is not installed' >&2; exit 77; }
	package=netns-enter-$version-1.$machine.rpm
	put 644 completions/_netns-enter usr/share/zsh/site-functions/_netns-enter
	put 644 LICENSE usr/share/licenses/netns-enter/LICENSE
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	rpmbuild -bb --quiet --target "$machine-linux" --define "_topdir $work/rpmbuild" --define "_dbpath $work/rpmdb" \
		--define "_rpmdir $work" --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' \
		--define "version_ $version" --define "files_ $root" --define "packager $MAINTAINER" \
		--define "date_ $(date -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" "$here/netns-enter.spec" >&2
}

$kind
mv "$work/$package" "$out/$package"
echo "$package"
