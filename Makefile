# The front door of netns-enter.
#
#   make               build the small static binary: target/netns-enter
#   make demo          enter a throwaway namespace and show its addresses
#   make test          all tests this machine allows; INSTALL=1 first installs what they need
#   make soak          answers under churn, and beside what others add, for an hour; SOAK_SECONDS= SOAK_SEED=
#   make boot-test     boot a kernel in qemu with the binary in its initramfs, and try it there
#   make fuzz          each parser on made-up input; SECONDS=600 for each, TARGETS= for some
#   make bench         beside nsenter, ip netns, docker and lsns, this Debian's and the newest: Markdown tables; INSTALL=1 first
#                      installs what that takes
#   make check         format, lints, documentation, workflows, and the plain stable builds, with the oldest Rust too
#   make dist          for x86_64 and aarch64, with sums: archives, .deb, .rpm and SBOM, in target/dist. What is left out for
#                      want of a tool is named; INSTALL=1 first installs the tools, and then nothing may be left out
#   make dist-test     the packages in clean roots, linters' word on them, and Debian's own cargo, offline
#   make install       what was built, or else builds it: DESTDIR= PREFIX=/usr/local
#
# Where rustup is missing and a cargo is there, make and make install take cargo's plain build, and say so.
#
# TARGET= builds for another machine, from any machine. aarch64-unknown-linux-musl is tested;
# i686-unknown-linux-musl was seen to build and run, but not position-independent; armv7 and riscv64
# are untried, since there was no standard library to be had.

VERSION := 1.95.0
TARGET ?= $(shell uname -m)-unknown-linux-musl
DESTDIR ?=
PREFIX ?= /usr/local
JOBS ?= 2

export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin
# The toolchain is pinned: flags below are unstable, and lints and sizes change with each release.
ifndef RUSTUP_TOOLCHAIN
RUSTUP_TOOLCHAIN := $(shell \
	if rustup toolchain list 2>/dev/null | grep -q '^$(VERSION)-'; then echo $(VERSION); \
	elif rustc +stable --version 2>/dev/null | grep -q '^rustc $(VERSION) '; then echo stable; \
	else echo $(VERSION); fi)
endif
export RUSTUP_TOOLCHAIN

SMALL := target/small/$(TARGET)/release/netns-enter
BUILT := $(shell mkdir -p target; echo $(CURDIR)/target/netns-enter)
SYSROOT = $(shell rustc --print sysroot 2>/dev/null)

# The small build is the release profile of Cargo.toml, with a standard library that is built along
# with it, for size. A panic ends the process at once, so that neither messages nor unwind tables are
# needed; relative relocations are packed; equal functions are folded into one. RUSTFLAGS takes the
# place of what .cargo/config.toml says, so its first two flags are said again.
SMALL_FLAGS = -C target-feature=+crt-static -C linker=rust-lld \
	-Z unstable-options -C panic=immediate-abort -C force-unwind-tables=no \
	-C link-arg=--pack-dyn-relocs=relr -C link-arg=--icf=all \
	--remap-path-prefix=$(CURDIR)=/src --remap-path-prefix=$(SYSROOT)=/rust \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo

# For aarch64 rustc links static programs to fixed addresses: it takes crt1.o of the C library that it
# has, and says -no-pie. Told to leave the C library to us, it takes no start file, and we name rcrt1.o,
# which is that of a static program that can be loaded anywhere.
MUSL = $(SYSROOT)/lib/rustlib/$(TARGET)/lib/self-contained
PIE_FLAGS_aarch64-unknown-linux-musl = -C link-self-contained=no -L native=$(MUSL) \
	-C link-arg=$(MUSL)/rcrt1.o -C link-arg=-pie -C link-arg=--no-dynamic-linker

all: target/netns-enter

SMALL_BUILD = RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(SMALL_FLAGS) $(PIE_FLAGS_$(TARGET))' \
	cargo build --release --locked --target $(TARGET) --target-dir target/small \
	-Z build-std=std,panic_abort -Z build-std-features=optimize_for_size

# Cargo knows best what is out of date.
$(SMALL): rustup FORCE
	$(SMALL_BUILD)

# Without rustup this is the plain build: the cargo that a distribution has cannot build a standard library.
PLAIN := $(shell command -v rustup >/dev/null || ! command -v cargo >/dev/null || echo target/release/netns-enter)
target/release/netns-enter: FORCE
	@echo 'rustup is not installed: this is the plain build of the cargo that is here, linked with the C library' \
		"that it takes, and larger; it is not the file that is released" >&2
	cargo build --release --locked --target-dir target

# Made anew each time, and so never older than what it was built of.
target/netns-enter: $(or $(PLAIN),$(SMALL)) FORCE
	cp -f $< $@.new && mv -f $@.new $@

# What is missing of the toolchain is added; nothing is asked of the network where all is there.
rustup:
	@command -v rustup >/dev/null || { echo 'rustup is needed to build netns-enter' >&2; exit 1; }
	@rustup toolchain list | grep -Eq '^$(RUSTUP_TOOLCHAIN)(-| |$$)' || \
		rustup toolchain install --profile minimal --no-self-update '$(RUSTUP_TOOLCHAIN)'
	@rustup target list --installed | grep -qx '$(TARGET)' || rustup target add '$(TARGET)'
	@for component in rust-src rustfmt clippy; do \
		rustup component list --installed | grep -q "^$$component" || rustup component add $$component || exit 1; \
	done

demo: all
	sh tests/demo target/netns-enter

test: $(if $(INSTALL),packages) all fetched
	sh tests/run $(BUILT) $(JOBS)

# The tests have no network (tests/stage): what they build for another machine is fetched before.
fetched: rustup
	@for triple in $(TRIPLES); do \
		rustup target list --installed | grep -qx $$triple || rustup target add $$triple || \
			echo "nothing can be built for $$triple" >&2; \
	done
	@cargo fetch --quiet --locked

SOAK_SECONDS ?= 3600
soak: $(if $(INSTALL),packages) all
	sh tests/soak $(BUILT) $(SOAK_SECONDS) $(SOAK_SEED)

# Debian's kernel for virtual machines and some of its modules, taken out of the package and not installed.
KERNEL := target/boot/vmlinuz
kernel: $(KERNEL)
$(KERNEL):
	rm -rf target/boot && mkdir -p target/boot/package
	cd target/boot/package && \
		fetch() { apt-get -o APT::Sandbox::User=root download -qq $$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $$2; exit }'); } && \
		{ fetch && ls *.deb >/dev/null 2>&1 || { apt-get update -qq && fetch; }; } && \
		dpkg-deb --fsys-tarfile *.deb | tar -xf - --wildcards './boot/vmlinuz-*' '*/veth.ko*' '*/overlay.ko*'
	cd target/boot && find package -name '*.ko*' -exec mv {} . ';' && { [ ! -e veth.ko.xz ] || unxz *.ko.xz; }
	mv target/boot/package/boot/vmlinuz-* $@ && rm -r target/boot/package

# --- real machines (tests/boot and tests/vm) -------------------------------------------------------------------------------------
# Debian's kernels for virtual machines, 5.10 to the newest, each with the small initramfs; the last line is for aarch64. All of
# it is emulated and needs neither KVM nor a network but apt's; what was fetched is kept in target/vm.
BOOT_SUITES := bullseye bookworm trixie sid
ARM := aarch64-unknown-linux-musl
boot-test: $(if $(INSTALL),vm-packages) all
	$(MAKE) --no-print-directory target/small/$(ARM)/release/netns-enter TARGET=$(ARM)
	sh tests/vm/boots target/netns-enter target/small/$(ARM)/release/netns-enter target/vm $(BOOT_SUITES)

# A Debian with systemd, cgroup v2 and today's engines, in which tests/vm/inside names all that runs. SECTIONS= are parts of it.
SUITE ?= trixie
vm-test: $(if $(INSTALL),vm-packages) all
	sh tests/vm/run $(SUITE) target/netns-enter target/vm

VM_PACKAGES := mmdebstrap qemu-system-x86 qemu-system-arm e2fsprogs busybox-static xz-utils debian-archive-keyring
vm-packages:
	@$(MAKE) --no-print-directory install-packages PACKAGES='$(VM_PACKAGES)'
# --- -----------------------------------------------------------------------------------------------------------------------------

# Debian names; the first install needs root. Nothing is ever removed for one.
APT_INSTALL = DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove
PACKAGES := docker.io containerd runc crun podman lxc bubblewrap busybox-static tcpdump iproute2 iputils-ping jq strace \
	sudo uidmap mandoc man-db util-linux binutils libcap2-bin python3-minimal rpm gcc libc6-dev musl-tools g++ \
	qemu-system-x86 qemu-user-static openssh-server openssh-client zsh fish
packages: install-packages
	@[ "$$(uname -m)" != x86_64 ] || $(MAKE) --no-print-directory kernel || echo 'no kernel to be booted was found' >&2
install-packages:
	@missing=; for package in $(PACKAGES); do \
		dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "to be installed:$$missing"; \
		apt-get update -qq; \
		$(APT_INSTALL) $$missing || for package in $$missing; do \
			$(APT_INSTALL) $$package || echo "$$package cannot be installed unless another one is removed" >&2; \
		done; \
	fi

# --- the release (src/share/packaging) -------------------------------------------------------------------------------------------
# A release is the same bytes whoever makes it, where and when: dates are the commit's, owners and order fixed.
RELEASE := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
TRIPLES := x86_64-unknown-linux-musl aarch64-unknown-linux-musl
NAME := netns-enter-$(RELEASE)-$(TARGET)
COMPLETIONS := $(addprefix src/share/completions/,netns-enter.bash _netns-enter netns-enter.fish)

DIST := target/dist

dist: $(if $(INSTALL),dist-tools)
	rm -f $(DIST)/netns-enter[-_]$(RELEASE)-*
	for triple in $(TRIPLES); do $(MAKE) release TARGET=$$triple || exit 1; done
	cd $(DIST) && export LC_ALL=C && sha256sum netns-enter[-_]$(RELEASE)-* >SHA256SUMS

# The archive of one target and what is made of it. A tool that is missing is told by 77.
release: archive
	@for make in 'packages.sh deb' 'packages.sh rpm' 'sbom.sh $(VERSION)'; do \
		SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) sh src/share/packaging/$$make $(DIST)/$(NAME).tar.gz; status=$$?; \
		[ $$status != 77 ] || { echo "NOT MADE for $(TARGET): $$make"; [ -n '$(INSTALL)' ] || status=0; }; \
		[ $$status = 0 ] || exit $$status; \
	done

CYCLONEDX := 0.5.9
dist-tools:
	@$(MAKE) --no-print-directory install-packages PACKAGES='dpkg rpm jq'
	@cargo cyclonedx --version >/dev/null 2>&1 || cargo install --quiet --locked --version $(CYCLONEDX) cargo-cyclonedx

archive: $(SMALL)
	rm -rf $(DIST)/$(NAME) && mkdir -p $(DIST)/$(NAME)/completions
	cp $(SMALL) src/share/netns-enter.8 LICENSE README.md $(DIST)/$(NAME)
	cp $(COMPLETIONS) $(DIST)/$(NAME)/completions
	@echo 'list the crates'
	@$(SMALL_BUILD) --quiet --message-format=json | sh src/share/crates.sh $(VERSION) $(SYSROOT)/lib/rustlib/$(TARGET) >$(DIST)/$(NAME)/CRATES
	tar -C $(DIST) --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mode=u+rw,go=u-w \
		--mtime=@$(SOURCE_DATE_EPOCH) -cf - $(NAME) | gzip -9n >$(DIST)/$(NAME).tar.gz
	rm -rf $(DIST)/$(NAME)

# Some minutes, and root: a root of Debian for each, made anew. STEPS= are some of tests/clean-root.
dist-test: $(if $(INSTALL),dist-test-packages)
	$(MAKE) dist
	sh tests/clean-root $(DIST) target/clean-root $(STEPS)
dist-test-packages:
	@$(MAKE) --no-print-directory install-packages PACKAGES='mmdebstrap debian-archive-keyring lintian rpmlint rpm jq'
# --- -----------------------------------------------------------------------------------------------------------------------------

SECONDS ?= 600
fuzz: rustup
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked --version 0.13.2 cargo-fuzz
	sh tests/fuzz/run $(SECONDS) $(TARGETS)

bench: $(if $(INSTALL),packages vm-packages) all
	sh tests/bench/run $(BUILT) target/vm

check: rustup
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	cargo build --locked --release --target $(TARGET)
	@$(MAKE) --no-print-directory workflows
	@$(MAKE) --no-print-directory oldest

# zizmor comes as a wheel. It and actionlint are named where they are not there.
ZIZMOR := 1.32.0
workflows:
	@zizmor=$$(command -v zizmor || echo target/zizmor/bin/zizmor); \
	[ -x "$$zizmor" ] || python3 -m pip install --quiet --target target/zizmor zizmor==$(ZIZMOR) >/dev/null 2>&1; \
	if [ -x "$$zizmor" ]; then "$$zizmor" --offline --no-progress --quiet .github; \
	else echo 'NOT CHECKED by zizmor, which is not installed and cannot be had here: the workflows' >&2; fi
	@if command -v actionlint >/dev/null; then actionlint; \
	else echo 'NOT CHECKED by actionlint, which is not installed: the workflows' >&2; fi

# The plain builds, with the oldest Rust that Cargo.toml promises, for musl and for this machine's own
# C library. Where that Rust cannot be had, clippy has looked above for what std did not have then.
OLDEST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml).0
OLDEST_BUILD = RUSTUP_TOOLCHAIN=$(OLDEST) cargo build --locked --release --target-dir target/$(OLDEST)
oldest:
	@if { rustup toolchain list | grep -q '^$(OLDEST)-' || \
		rustup toolchain install --profile minimal --no-self-update $(OLDEST); } && \
		rustup target add --toolchain $(OLDEST) $(TARGET); then \
		set -x; $(OLDEST_BUILD) --target $(TARGET) && $(OLDEST_BUILD); \
	else \
		echo 'NOT BUILT with Rust $(OLDEST), which rustup cannot fetch here. That std is not used beyond it is' \
			'what clippy says (incompatible_msrv); whether the language is, nobody has tried.' >&2; \
	fi

# What was built is installed as it is, since root, who installs, may have no cargo; what is older than its sources is built anew.
install: $(shell [ -e target/netns-enter ] && [ -z "$$(find src Cargo.* -newer target/netns-enter)" ] || echo target/netns-enter)
	install -D -m 755 target/netns-enter '$(DESTDIR)$(PREFIX)/bin/netns-enter'
	install -D -m 644 src/share/netns-enter.8 '$(DESTDIR)$(PREFIX)/share/man/man8/netns-enter.8'
	install -D -m 644 src/share/completions/netns-enter.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/netns-enter'
	install -D -m 644 src/share/completions/_netns-enter '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_netns-enter'
	install -D -m 644 src/share/completions/netns-enter.fish '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/netns-enter.fish'

clean:
	cargo clean

FORCE:
.PHONY: all demo test soak boot-test fuzz bench check workflows oldest dist release archive dist-tools dist-test install clean \
	packages kernel fetched rustup FORCE
