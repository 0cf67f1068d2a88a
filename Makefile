# The front door of netns-enter.
#
#   make               build the small static binary: target/netns-enter
#   make demo          enter a throwaway namespace and show its addresses
#   make test          all tests this machine allows; INSTALL=1 first installs what they need
#   make fuzz          each parser on made-up input; SECONDS=600 for each, TARGETS= for some
#   make bench         beside nsenter, ip netns, docker and lsns: Markdown tables; INSTALL=1 first installs those
#   make check         format, lints, documentation, and the plain stable build
#   make install       DESTDIR= PREFIX=/usr/local

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

# The linker optimizes all crates together, from the code as rustc first made it: only so does it find out that freeing memory is no work
# (src/sys.rs) before it decides what to inline. Relative relocations are packed, equal functions folded.
SMALL_LTO = -Cno-prepopulate-passes -Clinker-plugin-lto -C link-arg=--lto-newpm-passes=default<Oz> \
	-C link-arg=--pack-dyn-relocs=relr -C link-arg=--icf=all

# RUSTFLAGS takes the place of what .cargo/config.toml says, so that is said again.
SMALL_FLAGS = -C target-feature=+crt-static -C linker=rust-lld -C relocation-model=pie \
	-C link-arg=-z -C link-arg=relro -C link-arg=-z -C link-arg=now \
	-Cforce-unwind-tables=no -C link-arg=--build-id=none $(SMALL_LTO) \
	-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none \
	--remap-path-prefix=$(CURDIR)=/src --remap-path-prefix=$(SYSROOT)=/rust \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo

all: target/netns-enter

# Cargo knows best what is out of date.
target/netns-enter: rustup FORCE
	RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=off RUSTFLAGS='$(SMALL_FLAGS)' \
		cargo build --release --locked --target $(TARGET) --target-dir target/small \
		-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
	cp -f $(SMALL) $@.new && mv -f $@.new $@

# What is missing of the toolchain is added; nothing is asked of the network where all is there.
rustup:
	@command -v rustup >/dev/null || { echo 'rustup is needed to build netns-enter' >&2; exit 1; }
	@rustup toolchain list | grep -q '^$(RUSTUP_TOOLCHAIN)-' || \
		rustup toolchain install --profile minimal --no-self-update '$(RUSTUP_TOOLCHAIN)'
	@rustup target list --installed | grep -qx '$(TARGET)' || rustup target add '$(TARGET)'
	@for component in rust-src rustfmt clippy; do \
		rustup component list --installed | grep -q "^$$component" || rustup component add $$component || exit 1; \
	done

demo: all
	sh tests/demo target/netns-enter

test: $(if $(INSTALL),packages) all
	sh tests/run $(BUILT) $(JOBS)

# Debian names; the first install needs root.
PACKAGES := docker.io containerd runc crun podman lxc bubblewrap busybox-static tcpdump iproute2 iputils-ping jq strace \
	sudo uidmap mandoc man-db util-linux binutils libcap2-bin python3-minimal gcc libc6-dev musl-tools g++
packages:
	@missing=; for package in $(PACKAGES); do \
		dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "to be installed:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

SECONDS ?= 600
fuzz: rustup
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked --version 0.13.2 cargo-fuzz
	sh tests/fuzz/run $(SECONDS) $(TARGETS)

bench: $(if $(INSTALL),packages) all
	sh tests/bench/run $(BUILT)

check: rustup
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	cargo build --locked --release --target $(TARGET)

install: target/netns-enter
	install -D -m 755 target/netns-enter '$(DESTDIR)$(PREFIX)/bin/netns-enter'
	install -D -m 644 src/netns-enter.8 '$(DESTDIR)$(PREFIX)/share/man/man8/netns-enter.8'

clean:
	cargo clean

FORCE:
.PHONY: all demo test fuzz bench check install clean packages rustup FORCE
