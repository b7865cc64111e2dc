# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds modules for a flavour, with the headers that prepare.sh unpacked. Sourced by guest.sh.

# mirror DIR TARGET: the sources a module may use, so that each flavour's objects are its own.
mirror() {
	local d f dirs=("$1" core include)
	# The tree itself is ktrxer.ko's.
	if [ "$1" = . ]; then
		dirs=(kernel core include)
		mkdir -p "$2" && cp -au Kbuild Makefile "$2/" || return 1
	fi
	for d in "${dirs[@]}"; do
		[ -d "$d" ] || continue
		mkdir -p "$2/$d"
		cp -au "$d/." "$2/$d/"
		# What has gone from the tree must not be found here.
		(cd "$2/$d" && find . -name '*.[chS]' ! -name '*.mod.c' -o -name Kbuild) | while read -r f; do
			[ -e "$d/$f" ] || rm -f "$2/$d/$f"
		done
	done
}

# made_from DIR: a sum of what its build reads: where it is, what for, and by whom.
made_from() {
	local d dirs=("$1" core include)
	[ "$1" != . ] || dirs=(Kbuild Makefile kernel core include)
	{
		echo "$1 $release"
		cat "$cache/$flavour/made-from" 2> /dev/null # of a kernel that we build
		gcc --version
		for d in "${dirs[@]}"; do find "$d" -type f; done | sort | xargs -d '\n' sha256sum
	} | sha256sum
}

# make_modules FLAVOUR DIR [MAKE-ARGUMENT...]
make_modules() {
	local flavour=$1 dir=$2 root=$cache/$1/root headers common
	shift 2
	if is_um "$flavour"; then
		um_make "$dir" "$@"
		return
	fi
	headers=$root/usr/src/linux-headers-$(cat "$cache/$flavour/release")
	common=$(echo "$root"/usr/src/linux-headers-*-common*)
	# Debian's own Makefile there names the common one by its installed path; -f goes past it. Its BTF needs pahole.
	make -s --no-print-directory -C "$headers" -f "$common/Makefile" M="$dir" CONFIG_DEBUG_INFO_BTF_MODULES= \
		CROSS_COMPILE="$(cross_of "$(machine_of "$flavour")")" "$@" modules
}

# build_module FLAVOUR DIR [MAKE-ARGUMENT...]
build_module() {
	local flavour=$1 dir=${2%/} release target sum
	flavour=$(kernel_of "$1")
	shift 2
	dir=${dir#"$PWD"/}
	[ -e "$dir/Kbuild" ] || die "there is no $dir/Kbuild"
	release=$(cat "$cache/$flavour/release")
	target=$build/kmod/$flavour
	mkdir -p "$target"
	# Two tests may want it at the same time.
	exec 9> "$target/lock"
	flock 9
	# To find that there is nothing to do, the kernel's makefiles take a quarter of a minute, and every test asks.
	# What a make argument refers to we do not know.
	sum=$(made_from "$dir")
	if [ $# = 0 ] && [ "$sum" = "$(cat "$target/$dir/made-from" 2> /dev/null)" ]; then
		find "$target/$dir" -maxdepth 1 -name '*.ko'
		exec 9>&-
		return
	fi
	rm -f "$target/$dir/made-from"
	mirror "$dir" "$target" || die "cannot copy $dir"
	make_modules "$flavour" "$target/$dir" "$@" > "$target/log" 2>&1 || { cat "$target/log" >&2; die "$dir does not build for $flavour"; }
	# A warning of our own fails as everywhere; the missing BTF and such are not ours.
	if grep -E 'warning:|WARNING: modpost' "$target/log" >&2; then die "$dir builds with warnings for $flavour"; fi
	[ $# != 0 ] || echo "$sum" > "$target/$dir/made-from"
	find "$target/$dir" -maxdepth 1 -name '*.ko'
	exec 9>&-
}

# build_programs MACHINE [MAKE-ARGUMENT...]: library, command and test programs, or what arguments name, into what programs_of says.
build_programs() {
	local m=$1 root=$cache/$1/sysroot t a goal=(tests)
	shift
	for a in "$@"; do
		case $a in
		*=*) ;;
		*) goal=() ;;
		esac
	done
	t=$(triplet_of "$m")
	# Two tests may want them at the same time.
	mkdir -p "$build"
	exec 9> "$build/.programs-$m.lock"
	flock 9
	# Libraries that ours need are there, not in the system; those that they need besides, on the machine itself.
	PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/$t/pkgconfig:$root/usr/share/pkgconfig \
		make -s --no-print-directory -j"$(nproc)" CC="$t-gcc" AR="$t-ar" BUILD="$(programs_of "$m" "$build")" \
		BPF_TARGET="$([ "$m" = s390x ] && echo bpfeb || echo bpfel)" \
		CFLAGS="-g -idirafter $root/usr/include" LDFLAGS="-Wl,-rpath-link,$root/usr/lib/$t -Wl,--allow-shlib-undefined -L$root/usr/lib/$t" \
		"$@" "${goal[@]}" || die "the programs for $m do not build"
	exec 9>&-
}

# build_musl MACHINE: the command alone, static, with musl, as small as it gets: $(programs_of MACHINE BUILD)-musl/ktrxer. Debian has no
# compiler for that; its gcc for glibc with other paths is one, as musl-gcc is.
build_musl() {
	local m=$1 root=$cache/$1/sysroot dir specs headers t
	t=$(triplet_of "$m") dir=$(programs_of "$m" "$build")-musl specs=$dir/musl-gcc.specs
	headers=$root/usr/include/$(musl_of "$m")
	mkdir -p "$dir"
	cat > "$specs" << EOF
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem $headers -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem $headers -isystem include%s

*link_libgcc:
-L$root/usr/lib/$(musl_of "$m") -L .%s

*libgcc:
libgcc.a%s libgcc_eh.a%s

*startfile:
$root/usr/lib/$(musl_of "$m")/crt1.o $root/usr/lib/$(musl_of "$m")/crti.o crtbegin.o%s

*endfile:
crtend.o%s $root/usr/lib/$(musl_of "$m")/crtn.o

EOF
	make -s --no-print-directory -j"$(nproc)" CC="$t-gcc -specs=$specs" AR="$t-ar" BARE=1 STATIC=1 BUILD="$dir" \
		CFLAGS="-Os -Wno-format-truncation -idirafter /usr/$t/include" "$dir/ktrxer" "$dir/tests/tools/settime" && "$t-strip" "$dir/ktrxer"
}
