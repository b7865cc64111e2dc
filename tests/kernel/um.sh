# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The debug kernel: User Mode Linux, built from Debian's source with every checker that Linux has for it (tests/uml/config).
# Sourced by guest.sh. Flavours:
#
#   uml       as any other, with one CPU
#   uml-tt    the same kernel with time-travel=inf-cpu: computing takes no time, waiting none of ours, and its clock is exact
#
# $cache/uml holds what prepare.sh leaves of others, and linux (the program), src and o, in which modules are built.

# What the kernel is made of and how; when any of that changes, it is made again.
um_made_from() { { grep CONFIG tests/uml/config; declare -f um_configure um_build; } | sha256sum; }

# um_configure SRC OBJ: defconfig with our lines, each of which must have been taken.
um_configure() {
	local src=$1 obj=$2 line lost=()
	# arch/um forbids what counts preemption, as its entry code cannot preempt; counting alone, for DEBUG_ATOMIC_SLEEP, it can.
	sed -i '/^\tselect ARCH_NO_PREEMPT$/d' "$src/arch/um/Kconfig"
	make -s -C "$src" ARCH=um O="$obj" defconfig || return 1
	cat tests/uml/config >> "$obj/.config"
	make -s -C "$src" ARCH=um O="$obj" olddefconfig 2> /dev/null || return 1
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF -- "$line" "$obj/.config" || lost+=("$line") ;;
		"# CONFIG_"*) ! grep -q "^$(cut -d ' ' -f 2 <<< "$line")=" "$obj/.config" || lost+=("$line") ;;
		esac
	done < tests/uml/config
	[ ${#lost[@]} = 0 ] || { echo "the debug kernel's configuration did not take: ${lost[*]}" >&2; return 1; }
}

# um_build DIR DEB: the kernel from the source in DEB, with all that a flavour's directory holds.
um_build() {
	local dir=$1 deb=$2 release
	mkdir -p "$dir/o" "$dir/root/usr/lib" && ln -s usr/lib "$dir/root/lib" || return 1
	dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/src/linux-source-6.1.tar.xz | tar -xJ -C "$dir" && mv "$dir/linux-source-6.1" "$dir/src" || return 1
	um_configure "$dir/src" "$dir/o" || return 1
	make -s -C "$dir/src" ARCH=um O="$dir/o" -j"$(nproc)" linux modules modules_prepare || return 1
	release=$(cat "$dir/o/include/config/kernel.release") && strip -o "$dir/linux" "$dir/o/linux" || return 1
	# Everything is built in; modprobe wants to know that, and depmod that there is nothing else.
	mkdir -p "$dir/root/usr/lib/modules/$release" && cp "$dir"/o/modules.{builtin,builtin.modinfo,order} "$dir/root/usr/lib/modules/$release/" &&
		depmod -b "$dir/root" "$release" || return 1
	(cd "$dir/root" && pack usr/lib/modules < <(find usr/lib/modules)) > "$dir/modules.cpio" || return 1
	# What is left is what modules are built with.
	find "$dir/o" \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' \) ! -path '*/scripts/*' ! -path '*/tools/*' -delete
	rm -f "$dir"/o/{linux,vmlinux}
	(cd "$dir/src" && rm -rf Documentation block certs crypto drivers fs init ipc kernel lib mm net samples security sound tools virt)
	echo "$release" > "$dir/release"
}

um_prepare() {
	local dir=$cache/uml debs
	[ "$(cat "$dir/made-from" 2> /dev/null)" != "$(um_made_from)" ] || return 0
	mkdir -p "$cache"
	exec 9> "$cache/.uml-lock"
	flock 9
	[ "$(cat "$dir/made-from" 2> /dev/null)" != "$(um_made_from)" ] || { exec 9>&-; return 0; }
	debs=$(mktemp -d "$cache/.debs.XXXXXX")
	undo+=("$debs")
	download amd64 "$debs" linux-source-6.1
	echo "guest uml: building $(cd "$debs" && echo linux-source-6.1*.deb), some minutes" >&2
	# At once in its place: what builds modules knows where it was made.
	rm -rf "${dir:?}"
	mkdir "$dir"
	um_build "$dir" "$debs"/linux-source-6.1*.deb > "$cache/uml.log" 2>&1 || { tail -n 30 "$cache/uml.log" >&2; die "the debug kernel does not build: $cache/uml.log"; }
	rm -rf "${debs:?}"
	um_made_from > "$dir/made-from"
	exec 9>&-
}

# um_make TARGET [MAKE-ARGUMENT...]: modules from the mirror TARGET.
um_make() {
	local target=$1
	shift
	make -s --no-print-directory -C "$cache/uml/o" ARCH=um M="$target" "$@" modules
}

# um_boot DIRECTORY: like boot, which see. Four serial lines on files: the log, the job's output, its end, and the pipe that stops it.
um_boot() {
	local dir=$1 args=() append="panic=-1 oops=panic loglevel=7"
	: > "$dir/end"
	mkfifo "$dir/stop" || return 1
	[ "$flavour" != uml-tt ] || args+=(time-travel=inf-cpu)
	if [ -n "$out" ]; then
		truncate -s "${out_mb}M" "$dir/out.img"
		args+=("ubd0=$dir/out.img")
	fi
	[ -z "$disk" ] || args+=("ubd1=$disk")
	read -r -a append <<< "$append $extra_append"
	# Its memory is a file, which a disk would have to write.
	TMPDIR=/dev/shm timeout -k 2 "$limit" "$cache/uml/linux" mem="${mem}M" initrd="$dir/initrd" rdinit=/init umid=guest uml_dir="$dir/" \
		con=null ssl0=null,fd:5 ssl1=null,fd:6 ssl2=null,fd:7 ssl3=fd:8,null console=ttyS0 "${args[@]}" "${append[@]}" \
		5> "$dir/console" 6> "$dir/output" 7> "$dir/end" 8<> "$dir/stop" < /dev/null > "$dir/qemu" 2>&1 &
	echo $! > "$dir/pid"
	wait $!
	echo $? > "$dir/status"
}
