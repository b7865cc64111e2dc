# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Flavours of guests: which machine, which kernel, how QEMU has it. Sourced by guest.sh and by what builds programs for them.
# shellcheck disable=SC2034

machines=(arm64 armhf mipsel s390x) # besides amd64, whose flavours are kernels' names

# machine_of FLAVOUR: Debian's name of the machine.
machine_of() {
	case $1 in
	arm64 | armhf | mipsel | s390x) echo "$1" ;;
	*) echo amd64 ;;
	esac
}

# kernel_of FLAVOUR: under which name its kernel and the modules for it are kept.
kernel_of() { echo "${1%-tt}"; }
is_um() { [ "$(kernel_of "$1")" = uml ]; }
is_foreign() { [ "$(machine_of "$1")" != amd64 ]; }

# userland_of FLAVOUR: the name of the segment with what it runs.
userland_of() { echo "userland$(! is_foreign "$1" || echo "-$(machine_of "$1")")"; }

# metas FLAVOUR: the packages that name the newest kernel and its headers.
metas() {
	case $1 in
	6.1) echo linux-image-amd64 linux-headers-amd64 ;;
	6.1-rt) echo linux-image-rt-amd64 linux-headers-rt-amd64 ;;
	6.1-cloud) echo linux-image-cloud-amd64 linux-headers-cloud-amd64 ;;
	6.12) echo linux-image-6.12-amd64 linux-headers-6.12-amd64 ;;
	6.12-rt) echo linux-image-6.12-rt-amd64 linux-headers-6.12-rt-amd64 ;;
	6.12-cloud) echo linux-image-6.12-cloud-amd64 linux-headers-6.12-cloud-amd64 ;;
	arm64) echo linux-image-arm64 linux-headers-arm64 ;;
	armhf) echo linux-image-armmp linux-headers-armmp ;;
	mipsel) echo linux-image-4kc-malta linux-headers-4kc-malta ;;
	s390x) echo linux-image-s390x linux-headers-s390x ;;
	*) die "no flavour $1 (6.1, 6.1-rt, 6.1-cloud, 6.12, 6.12-rt, 6.12-cloud, uml, uml-tt, ${machines[*]})" ;;
	esac
}

# version_of FLAVOUR: how the kernel's release begins.
version_of() {
	case $1 in
	6.12*) echo 6.12 ;;
	*) echo 6.1 ;;
	esac
}

# triplet_of MACHINE: its multiarch name.
triplet_of() {
	case $1 in
	amd64) echo x86_64-linux-gnu ;;
	arm64) echo aarch64-linux-gnu ;;
	armhf) echo arm-linux-gnueabihf ;;
	mipsel) echo mipsel-linux-gnu ;;
	s390x) echo s390x-linux-gnu ;;
	esac
}
# cross_of MACHINE: what the names of its compiler and tools begin with.
cross_of() { [ "$1" = amd64 ] || echo "$(triplet_of "$1")-"; }

# musl_of MACHINE: the multiarch name of what is built with musl.
musl_of() {
	local t
	t=$(triplet_of "$1")
	echo "${t%-*}-${t##*-}" | sed 's/-gnu/-musl/'
}

# elf_machine FILE: which machine's it is.
elf_machine() {
	case $(readelf -h "$1" 2> /dev/null) in
	*AArch64*) echo arm64 ;;
	*ARM*) echo armhf ;;
	*MIPS*) echo mipsel ;;
	*S/390*) echo s390x ;;
	*) echo amd64 ;;
	esac
}

# programs_of MACHINE BUILD: where the programs for it are built.
programs_of() { if [ "$1" = amd64 ]; then echo "$2"; else echo "$2/$(triplet_of "$1")"; fi; }

# hardware FLAVOUR CPUS: QEMU's program and options, one a line; where its bus is not PCI, options say so by names.
hardware() {
	case $(machine_of "$1") in
	amd64) printf '%s\n' qemu-system-x86_64 -M pc -cpu "$cpu" -smp "$2" ;;
	arm64) printf '%s\n' qemu-system-aarch64 -M virt -cpu cortex-a57 -smp "$2" ;;
	# Without LPAE its kernel does not see what lies high.
	armhf) printf '%s\n' qemu-system-arm -M virt,highmem=off -cpu cortex-a15 -smp "$2" ;;
	mipsel) printf '%s\n' qemu-system-mipsel -M malta -cpu 24Kf ;;
	s390x) printf '%s\n' qemu-system-s390x -M s390-ccw-virtio -smp "$2" ;;
	esac
}

# console_of FLAVOUR: what its kernel calls the line of its log.
console_of() {
	case $(machine_of "$1") in
	arm64 | armhf) echo ttyAMA0 ;;
	s390x) echo ttysclp0 ;;
	*) echo ttyS0 ;;
	esac
}

# virtio_of FLAVOUR KIND: QEMU's name of a virtio device there.
virtio_of() { if [ "$(machine_of "$1")" = s390x ]; then echo "virtio-$2-ccw"; else echo "virtio-$2-pci"; fi; }

# apt_of MACHINE COMMAND [ARGUMENT...]: apt with lists of its own for another machine; this one's stay as they are, and so does what it
# believes to be installed, which is nothing.
apt_of() {
	local m=$1 command=$2 own=$cache/apt-$1
	shift 2
	if [ "$m" = amd64 ]; then
		"$command" -o APT::Sandbox::User=root "$@"
		return
	fi
	mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
	[ -e "$own/status" ] || : > "$own/status"
	"$command" -o Dir::State::lists="$own/lists" -o Dir::Cache="$own/cache" -o Dir::State::status="$own/status" -o APT::Architecture="$m" \
		-o APT::Architectures="$m" -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}
