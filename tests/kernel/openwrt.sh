#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
# The OpenWrt package without an OpenWrt: what its build system defines is stood in for, and the package's own commands are run, with
# a compiler for a mipsel router and with musl, and with the headers of the first kernel's guest.
set -u
. "$(dirname "$0")/lib.sh"
f=${KT_FLAVOURS%% *}
$guest prepare "$f" || exit 1
cache=${KT_GUEST_CACHE:-$PWD/build/guest}
release=$(cat "$cache/$f/release")
src=$(realpath "$cache/$f/root/usr/src")

# --- what stands in for OpenWrt ------------------------------------------------------------

top=$T/openwrt
mkdir -p "$top/include"
cat > "$top/rules.mk" <<-'END'
	INCLUDE_DIR := $(TOPDIR)/include
	KERNEL_BUILD_DIR := $(TOPDIR)/build_dir
	CP := cp -fpR
	INSTALL_DIR := install -d -m0755
	INSTALL_BIN := install -m0755
END
# wants: a variable of the package that is not set.
cat > "$top/include/kernel.mk" <<'END'
KERNEL_MAKE = $(MAKE) -s --no-print-directory -C $(LINUX_DIR) -f $(LINUX_COMMON)/Makefile CONFIG_DEBUG_INFO_BTF_MODULES=
AutoProbe = probe $(1)
define wants
$(foreach v,$(2),$(if $($(v)),,$(error $(1) does not say its $(v))))
endef
define KernelPackage
$(eval $(KernelPackage/$(1)))
$(call wants,KernelPackage/$(1),SUBMENU TITLE FILES AUTOLOAD KCONFIG KernelPackage/$(1)/description)
kmod := $(FILES)
kconfig := $(KCONFIG)
autoload := $(AUTOLOAD)
endef
END
cat > "$top/include/package.mk" <<'END'
$(call wants,the Makefile,PKG_NAME PKG_VERSION PKG_RELEASE PKG_LICENSE PKG_LICENSE_FILES PKG_BUILD_DIR)
define BuildPackage
$(eval $(Package/$(1)))
$(call wants,Package/$(1),SECTION CATEGORY TITLE DEPENDS Package/$(1)/description Package/$(1)/install)
package := $(1)
endef
.PHONY: version kconfig load prepare compile install
version:
	@echo '$(PKG_VERSION)'
kconfig:
	@printf '%s\n' $(kconfig)
load:
	@echo '$(autoload)'
prepare:
	$(Build/Prepare)
compile:
	$(Build/Compile)
install:
	$(call Package/$(package)/install,$(TOPDIR)/installed)
	install -D -m0644 -t $(TOPDIR)/installed/modules $(kmod)
END

# openwrt TARGET [VARIABLE...]: in the package's directory, as OpenWrt calls make there.
openwrt() {
	make -s --no-print-directory -C openwrt/ktrxer TOPDIR="$top" LINUX_DIR="$src/linux-headers-$release" \
		LINUX_COMMON="$(echo "$src"/linux-headers-*-common*)" "$@"
}

# --- its own commands --------------------------------------------------------------------------

version=$(openwrt version)
same "it has the Makefile's version" "$version" "$(sed -n 's/^VERSION := //p' Makefile)"
same "the module is loaded by name" "$(openwrt load)" "probe ktrxer"
same "Debian's kernel has the options that it asks for" \
	"$(openwrt kconfig | grep -vxFf "$src/linux-headers-$release/.config")" ""
matches "what a package does not say is missed" "$(openwrt version PKG_LICENSE= 2>&1)" 'the Makefile does not say its PKG_LICENSE'
check "prepares" openwrt prepare

for cc in musl-gcc mipsel-linux-gnu-gcc; do
	# Debian's musl comes without the kernel's headers, a router's tool chain with them.
	run=() ar=ar headers="-idirafter /usr/include -idirafter /usr/include/$(gcc -print-multiarch)"
	[ $cc = musl-gcc ] || { run=(qemu-mipsel -L /usr/mipsel-linux-gnu) ar=${cc%gcc}ar headers=''; }
	rm -rf "${top:?}/build_dir/ktrxer-$version/build" "${top:?}/installed"
	check "$cc: compiles" openwrt compile TARGET_CC=$cc TARGET_AR="$ar" TARGET_CFLAGS='-Os -pipe' \
		TARGET_CPPFLAGS="$headers" TARGET_LDFLAGS='-Wl,-z,now -Wl,-z,relro'
	check "$cc: installs" openwrt install
	command=$top/installed/usr/bin/ktrxer
	matches "$cc: the command runs" "$("${run[@]}" "$command" --version)" "^ktrxer $version"
	same "$cc: and needs the C library only" "$(readelf -d "$command" | sed -n 's/.*NEEDED.*\[\(lib[a-z]*\)\.so.*\]/\1/p' |
		grep -vx libm)" libc
done
matches "it is a router's" "$(readelf -h "$command")" 'MIPS'
same "the module is for that kernel" "$(modinfo -F vermagic "$top/installed/modules/ktrxer.ko" | cut -d' ' -f1)" "$release"
done_testing
