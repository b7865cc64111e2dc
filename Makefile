# kTRxer: plain GNU make and pkg-config, no configure step.
#
#   sudo make run     install what is missing from Debian, build, run the main job
#   sudo make test    the same for all tests
#   make help         everything else

VERSION := 0.1.0
SOVERSION := 0
BUILD ?= build
O ?= 2
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

CC ?= gcc
AR ?= ar
CLANG ?= clang
# Of the machine's byte order: this one's, bpfel or bpfeb.
BPF_TARGET ?= bpf
PKG_CONFIG ?= pkg-config
# V=1 shows the commands whole.
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $@)

ifeq ($(origin CC),default)
CC := gcc
endif

# Compilers may differ in what they warn about; these all of them know.
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
	-Wvla -Wundef -Wformat=2 -Wno-format-nonliteral -Wno-unused-parameter
# clang looks into the kernel's netlink macros, which cast const away and mix signs.
WARN += $(if $(findstring clang,$(CC)),-Wno-cast-qual -Wno-sign-compare)
CFLAGS ?= -g
# 64 bits also on 32-bit machines: offsets, as AF_XDP's mappings are beyond 4 GiB and /dev/krx's beyond 2; and time, beyond 2038.
KT_CFLAGS := -std=gnu11 -O$(O) $(WARN) -fvisibility=hidden -fno-strict-aliasing -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -MMD -MP
LDLIBS := -lpthread

# SAN=address,undefined or SAN=thread; give it a BUILD of its own.
ifneq ($(SAN),)
# Instrumentation misleads gcc's warnings about ranges; the plain build has them as errors.
KT_CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -Wno-error -w
LDFLAGS += -fsanitize=$(SAN)
endif
ifneq ($(STATIC),)
LDFLAGS += -static
endif

# Optional libraries: probed, and named by `ktrxer info`. BARE=1 builds without any, as a router would.
ifeq ($(BARE),)
HAVE_PCAP := $(shell $(PKG_CONFIG) --exists libpcap 2>/dev/null && echo 1)
HAVE_XDP := $(shell $(PKG_CONFIG) --exists libbpf 2>/dev/null && command -v $(CLANG) >/dev/null 2>&1 && echo 1)
endif
ifeq ($(HAVE_PCAP),1)
KT_CFLAGS += -DHAVE_PCAP=1 $(shell $(PKG_CONFIG) --cflags libpcap)
LDLIBS += $(shell $(PKG_CONFIG) --libs libpcap)
endif
ifeq ($(HAVE_XDP),1)
KT_CFLAGS += -DHAVE_XDP=1 $(shell $(PKG_CONFIG) --cflags libbpf)
LDLIBS += $(shell $(PKG_CONFIG) --libs libbpf)
endif

CORE_SRC := $(sort $(wildcard core/*.c))
XDP_SRC := $(sort $(wildcard lib/engine_xdp*.c))
LIB_SRC := $(sort $(filter-out $(XDP_SRC) lib/%.bpf.c,$(wildcard lib/*.c)))
ifeq ($(HAVE_XDP),1)
LIB_SRC += $(XDP_SRC)
BPF_SRC := $(sort $(wildcard lib/*.bpf.c))
endif
CLI_SRC := $(sort $(wildcard cli/*.c))
BPF_OBJ := $(BPF_SRC:%.bpf.c=$(BUILD)/%.bpf.o)
LIB_OBJ := $(CORE_SRC:%.c=$(BUILD)/%.o) $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)

# Without libbpf, tests that speak of it have nothing to link with.
XDP_TESTS := $(if $(HAVE_XDP),,$(shell grep -slE 'bpf/|engine_xdp' tests/*/*.c))
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(sort $(filter-out $(XDP_TESTS),$(wildcard tests/core/*.c tests/unit/*.c tests/conform/*.c tests/net/*.c tests/kernel/*.c))))
TOOL_BIN := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/tools/*.c)))
EXAMPLE_BIN := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard examples/*.c)))
BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(sort $(filter-out %.bpf.c,$(wildcard bench/*.c))))
BENCH_BPF := $(patsubst %.bpf.c,$(BUILD)/%.bpf.o,$(sort $(wildcard bench/*.bpf.c)))
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all help
all: $(if $(CORE_SRC)$(LIB_SRC),$(BUILD)/libktrxer.a $(BUILD)/libktrxer.so) $(if $(CLI_SRC),$(BUILD)/ktrxer) $(EXAMPLE_BIN)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make                  library, command and examples, in build/
## sudo make run         set up, build and run the main job; report in out/
## sudo make test        set up, build and run all tests
## sudo make test-kernel the tests in guests on Debian's kernels (KT_FLAVOURS)
## sudo make test-uml    the module's tests in a kernel with every checker on; launches in virtual time
## sudo make test-arch   library, command and module on arm64, armhf, mipsel and s390x
## sudo make test-all    the engines' contract on every kernel and machine, with a table
## make fuzz-kernel      fuzz both devices in that kernel, until something is found
## make check            the tests that need no root, quickly
## sudo make bench       benchmarks, results in out/bench/
## sudo make bench-kernel the module's figures, in guests where an instruction takes 1 ns; in out/bench/
## make fuzz             fuzz every parser (FUZZ_SECONDS each, default 600)
## make install          into DESTDIR, PREFIX
## make format lint      clang-format; style and shell checks
## make musl cross       compile with musl, for arm64 and mipsel
## make module           ktrxer.ko for the kernel of KDIR=headers; module-install installs it
## make module-source    what DKMS builds from, in /usr/src
## make module-cross     ktrxer.ko for Debian's kernels on arm64, armhf, mipsel and s390x

# --- library -----------------------------------------------------------------

# What objects are made from besides their source: when it changes, all are made again.
MADE_WITH := $(CC) $(KT_CFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS) $(LIB_SRC) $(CLI_SRC)
.PHONY: always
$(BUILD)/made-with: always
	@mkdir -p $(@D)
	@echo '$(MADE_WITH)' | cmp -s - $@ || echo '$(MADE_WITH)' > $@

# libpcap's packet headers have the time_t that the machine's libraries are built with, which on 32 bits need not be ours.
$(BUILD)/lib/pcapfile.o: KT_CFLAGS := $(filter-out -D_TIME_BITS=64,$(KT_CFLAGS))

$(BUILD)/%.o: %.c $(BUILD)/made-with
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(KT_CFLAGS) $(CFLAGS) -fPIC -c -o $@ $<

$(BUILD)/%.bpf.o: %.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)
	$(Q)$(CLANG) -target $(BPF_TARGET) -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -mcpu=v3 -MMD -MP \
		-I/usr/include/$(shell $(CLANG) -print-multiarch 2>/dev/null || gcc -print-multiarch) -c -o $@ $<

# The BPF programs travel inside the library.
$(BUILD)/lib/engine_xdp.o: KT_CFLAGS += -DKT_BPF_DIR='"$(BUILD)/lib"'
$(BUILD)/lib/engine_xdp.o: $(BPF_OBJ)

$(BUILD)/libktrxer.a: $(LIB_OBJ)
	$(call say,AR)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libktrxer.so.$(SOVERSION): $(LIB_OBJ) lib/libktrxer.map
	$(call say,LD)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libktrxer.so.$(SOVERSION) -Wl,--version-script=lib/libktrxer.map \
		-o $@ $(LIB_OBJ) $(LDLIBS)

$(BUILD)/libktrxer.so: $(BUILD)/libktrxer.so.$(SOVERSION)
	$(call say,LN)
	$(Q)ln -sf libktrxer.so.$(SOVERSION) $@

# Everything of the command but main(), so that tests link what they need of it.
$(BUILD)/libcli.a: $(filter-out $(BUILD)/cli/main.o,$(CLI_OBJ))
	$(call say,AR)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/ktrxer: $(BUILD)/cli/main.o $(BUILD)/libcli.a $(BUILD)/libktrxer.a
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lm

# Examples see the public header only, as a user would.
$(BUILD)/examples/%: examples/%.c $(BUILD)/libktrxer.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(KT_CFLAGS) $(CFLAGS) -Iinclude $(LDFLAGS) -o $@ $< $(BUILD)/libktrxer.a $(LDLIBS)

$(BUILD)/tests/% $(BUILD)/bench/%: KT_CFLAGS += -I.
$(BUILD)/tests/%: tests/%.c $(BUILD)/libcli.a $(BUILD)/libktrxer.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(KT_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(TEST_EXTRA) $(BUILD)/libcli.a $(BUILD)/libktrxer.a $(LDLIBS) -lm

# The conformance suite is one set of cases; each engine has a program that runs it.
SUITE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/conform/suite/*.c))
$(BUILD)/tests/conform/suite/%.o: KT_CFLAGS += -I.
$(BUILD)/tests/conform/%: TEST_EXTRA = $(SUITE_OBJ)
$(patsubst %.c,$(BUILD)/%,$(wildcard tests/conform/*.c)): $(SUITE_OBJ)

$(BUILD)/bench/%: bench/%.c $(BUILD)/libktrxer.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(KT_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libktrxer.a $(LDLIBS) -lm

# --- proofs about the source ---------------------------------------------------

# core/ compiles freestanding and needs nothing but the four memory functions.
.PHONY: freestanding freestanding-core
freestanding: $(if $(CORE_SRC),freestanding-core)
freestanding-core:
	@mkdir -p $(BUILD)/freestanding
	@for f in $(CORE_SRC); do \
		$(CC) -std=gnu11 -O2 $(WARN) -ffreestanding -nostdlib -fno-strict-aliasing -c -o \
			$(BUILD)/freestanding/$$(basename $$f .c).o $$f || exit 1; done
	@$(LD) -r -o $(BUILD)/freestanding/all.o $(CORE_SRC:core/%.c=$(BUILD)/freestanding/%.o)
	@bad=$$(nm -u $(BUILD)/freestanding/all.o | awk '{print $$2}' | grep -vxE 'memcpy|memset|memcmp|memmove|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail'); \
		if [ -n "$$bad" ]; then echo "core/ needs from outside: $$bad" >&2; exit 1; fi
	@if grep -nE '^#include' core/*.[ch] | grep -vE '#include "[a-z_0-9]+\.h"|core/(env|ring)\.h:.*#include <'; then \
		echo "core/ includes only its own headers" >&2; exit 1; fi
	@echo "core/: $(words $(CORE_SRC)) files freestanding"

include scripts/targets.mk
include scripts/module.mk

-include $(LIB_OBJ:.o=.d) $(SUITE_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(BPF_OBJ:.o=.d) $(TEST_BIN:=.d) $(TOOL_BIN:=.d) $(EXAMPLE_BIN:=.d) $(BENCH_BIN:=.d)
