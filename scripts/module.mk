# The kernel module, built in a tree of links to the sources.

KDIR ?= /lib/modules/$(shell uname -r)/build
CROSS_COMPILE ?=
# Not kernel.release, which in Debian's headers is another name.
MODULE_RELEASE = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' '$(KDIR)/include/generated/utsrelease.h' 2>/dev/null)
MODULE_DIR = $(BUILD)/module/$(MODULE_RELEASE)
# Debian's headers name their common part by its installed path; where they were only unpacked, it lies beside them.
KCOMMON = $(shell sed -n 's/^include //p' '$(KDIR)/Makefile' 2>/dev/null)
KMAKEFILE = $(if $(KCOMMON),$(firstword $(wildcard $(KCOMMON) $(KDIR)/../$(notdir $(patsubst %/,%,$(dir $(KCOMMON))))/Makefile)))
# Without pahole the kernel's makefiles cannot describe the module's types, which nothing here needs. Our O is not theirs.
KBUILD = $(MAKE) --no-print-directory $(if $(Q),-s) -C $(KDIR) $(KMAKEFILE:%=-f %) M=$(abspath $(1)) O= \
	CROSS_COMPILE=$(CROSS_COMPILE) $(if $(shell command -v pahole),,CONFIG_DEBUG_INFO_BTF_MODULES=)

.PHONY: module module-install module-source module-cross module-links
module-links:
	@[ -n '$(MODULE_RELEASE)' ] || { echo 'no kernel headers in $(KDIR); install them (Debian: linux-headers-amd64), or say KDIR=' >&2; exit 1; }
	@mkdir -p $(MODULE_DIR)
	@find $(MODULE_DIR) -xtype l -delete
	@cp -rsf $(abspath Kbuild Makefile kernel core include) $(MODULE_DIR)/

module: module-links
	$(Q)+$(call KBUILD,$(MODULE_DIR)) modules
	@printf '  KO    %s\n' $(MODULE_DIR)/ktrxer.ko

module-install: module
	$(Q)+$(call KBUILD,$(MODULE_DIR)) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) modules_install

# What DKMS builds from, and nothing else of the tree: dkms add ktrxer/VERSION finds it there.
SRCDIR ?= /usr/src
MODULE_SOURCE = $(DESTDIR)$(SRCDIR)/ktrxer-$(VERSION)
module-source:
	rm -rf $(MODULE_SOURCE)
	install -d $(MODULE_SOURCE)
	cp -r Kbuild Makefile dkms.conf kernel core include $(MODULE_SOURCE)/

# For Debian's kernels on other machines: 32 bits, big-endian, no unaligned access. Downloads them, once.
module-cross:
	@for m in $(KT_MACHINES); do KT_BUILD=$(abspath $(BUILD)) tests/kernel/guest.sh build $$m . || exit 1; done

# The core's suites as a module of their own, in a tree of links too.
CORETEST_DIR = $(BUILD)/coretest/$(MODULE_RELEASE)
.PHONY: coretest-module
coretest-module:
	@[ -n '$(MODULE_RELEASE)' ] || { echo 'no kernel headers in $(KDIR)' >&2; exit 1; }
	@mkdir -p $(CORETEST_DIR)/tests/kernel
	@find $(CORETEST_DIR) -xtype l -delete
	@cp -rsf $(abspath core include tests/kernel/coretest/Kbuild) $(CORETEST_DIR)/
	@cp -rsf $(abspath tests/core $(wildcard tests/*.h)) $(CORETEST_DIR)/tests/
	@cp -rsf $(abspath tests/kernel/coretest) $(CORETEST_DIR)/tests/kernel/
	$(Q)+$(call KBUILD,$(CORETEST_DIR)) modules
	@printf '  KO    %s\n' $(CORETEST_DIR)/ktrxer_coretest.ko
