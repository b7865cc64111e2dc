# What one does with the project, apart from building it.

.PHONY: deps-build deps-run deps-kernel deps-test deps-arch deps-bench run test test-kernel test-uml test-arch test-all \
	fuzz-kernel guests guests-uml guests-arch chroot check bench bench-kernel fuzz install uninstall clean format lint \
	tests test-programs benches fuzzers musl cross clang san asan tsan hand-back

deps-build deps-run deps-kernel deps-test deps-arch deps-bench: deps-%:
	@scripts/deps.sh $*

# Root's output belongs to whoever called sudo.
hand-back:
	@[ -z "$$SUDO_UID" ] || chown -R "$$SUDO_UID:$$SUDO_GID" $(wildcard $(BUILD) out)

# For makes inside makes: quiet, and on all CPUs unless -j was given.
QUIET = --no-print-directory -s say= $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# Dependencies come first, and then a make of its own finds what was installed.
run: deps-run
	@echo "building"
	@$(MAKE) $(QUIET) all $(BUILD)/tests/tools/service
	@scripts/mainjob.sh --build $(BUILD); status=$$?; $(MAKE) $(QUIET) hand-back; exit $$status

# Suites in the order in which a failure says most. The sanitized builds run what they can tell something about.
# Threads are in unit and conform only, so the thread sanitizer runs those.
SUITES := core unit conform net witness cli build man fuzz musl:core musl:unit kernel
SAN_SUITES := asan:core asan:unit asan:conform asan:net tsan:unit tsan:conform
PRESENT = $(strip $(foreach s,$(1),$(if $(wildcard tests/$(if $(filter witness,$s),net/witness_*.sh,$(lastword $(subst :, ,$s)))),$s)))

# On every run the oldest kernel and the newest, which is also PREEMPT_RT, machines of 32 bits, and the debug kernel; more of them by
# test-kernel, test-uml, test-arch and test-all.
QUICK_KERNELS := 6.1 6.12-rt
QUICK_MACHINES := mipsel armhf
QUICK := uml/coretest uml/seeds uml/exact uml/fuzz arch/small
test: deps-arch
	@echo "building"
	@$(MAKE) $(QUIET) tests
	@$(MAKE) $(QUIET) -k asan tsan musl || echo "some of these builds failed; their programs count as failed tests"
	@$(MAKE) $(QUIET) guests || echo "guests are missing; their tests fail"
	@tests/kernel/guest.sh prepare uml $(QUICK_MACHINES) || echo "the debug kernel or other machines are missing; their tests fail"
	@$(MAKE) $(QUIET) chroot || echo "the Debian for packages is missing; its test fails"
	@KT_FLAVOURS="$(QUICK_KERNELS)" KT_MACHINES="$(QUICK_MACHINES)" \
		tests/run.sh --build $(BUILD) -j 2 $(call PRESENT,$(SUITES)) $(QUICK) $(call PRESENT,$(SAN_SUITES)); status=$$?; \
		$(MAKE) $(QUIET) hand-back; exit $$status

# Debian's kernels as guests; what needs the network is done before the tests, whose world has none.
KT_FLAVOURS ?= 6.1 6.12 6.12-rt
export KT_FLAVOURS
guests:
	@tests/kernel/guest.sh prepare $(KT_FLAVOURS)
# A Debian in which packages are tried, made with the network for the same reason.
chroot:
	@scripts/chroot.sh prepare
test-kernel: deps-kernel
	@echo "building"
	@$(MAKE) $(QUIET) tests
	@$(MAKE) $(QUIET) guests || echo "guests are missing; their tests fail"
	@tests/run.sh --build $(BUILD) kernel; status=$$?; $(MAKE) $(QUIET) hand-back; exit $$status

# The debug kernel, User Mode Linux: built, in four minutes or so. Its tests are the module's, which find nothing with all checkers on; then
# what shows that the checkers are on, launches that are exact in virtual time, and the fuzzer. Not what wants a second CPU or cards.
UML_TESTS := $(addprefix kernel/,conform ktx krx hostile offload faults)
guests-uml:
	@tests/kernel/guest.sh prepare uml
test-uml: deps-test
	@echo "building"
	@$(MAKE) $(QUIET) tests
	@$(MAKE) $(QUIET) guests-uml
	@KT_FLAVOURS=uml tests/run.sh --build $(BUILD) -j 2 $(UML_TESTS) uml; status=$$?; $(MAKE) $(QUIET) hand-back; exit $$status

# Until it finds something or is interrupted.
fuzz-kernel: deps-test
	@$(MAKE) $(QUIET) tests
	@$(MAKE) $(QUIET) guests-uml
	@scripts/fuzz-kernel.sh --build $(BUILD) --seconds $(or $(FUZZ_SECONDS),600) $(if $(FUZZ_ROUNDS),--rounds $(FUZZ_ROUNDS)) out/fuzz-kernel

# Other machines: library, command and module cross-built, and run there.
KT_MACHINES ?= arm64 armhf mipsel s390x
export KT_MACHINES
guests-arch:
	@tests/kernel/guest.sh prepare $(KT_MACHINES)
test-arch: deps-arch
	@echo "building"
	@$(MAKE) $(QUIET) tests
	@$(MAKE) $(QUIET) guests-arch
	@tests/run.sh --build $(BUILD) -j 2 arch; status=$$?; $(MAKE) $(QUIET) hand-back; exit $$status

# Every engine's contract on every kernel and machine, and a table of what came of it: tests/table.sh.
test-all: deps-arch
	@echo "building"
	@$(MAKE) $(QUIET) tests
	@$(MAKE) $(QUIET) guests-uml guests-arch
	@tests/kernel/guest.sh prepare $(ALL_KERNELS)
	@KT_FLAVOURS="$(ALL_KERNELS) uml uml-tt" KT_ENGINES="mem packet xdp_generic xdp_native kmod" \
		tests/run.sh --build $(BUILD) -j 2 kernel/conform arch/conform; status=$$?; tests/table.sh $(BUILD) || status=1; \
		$(MAKE) $(QUIET) hand-back; exit $$status
ALL_KERNELS := 6.1 6.1-rt 6.1-cloud 6.12 6.12-rt 6.12-cloud

tests: all test-programs
test-programs: $(TEST_BIN) $(TOOL_BIN)

# A check that needs no root and no network.
check: freestanding tests
	tests/run.sh --build $(BUILD) $(or $(call PRESENT,core unit),build --filter runner)

# The same tests in builds that watch memory, undefined behaviour and threads.
asan:
	@$(MAKE) $(QUIET) SAN=address,undefined O=1 BUILD=$(BUILD)/asan tests
tsan:
	@$(MAKE) $(QUIET) SAN=thread O=1 BUILD=$(BUILD)/tsan tests
san: asan tsan
	tests/run.sh --build $(BUILD) -j 2 $(call PRESENT,$(SAN_SUITES))

benches: all $(BENCH_BIN) $(BENCH_BPF)
bench: deps-bench
	@echo "building"
	@$(MAKE) $(QUIET) benches
	@bench/run.sh --build $(BUILD); status=$$?; $(MAKE) $(QUIET) hand-back; exit $$status

bench-kernel: deps-kernel
	@echo "building"
	@$(MAKE) $(QUIET) benches
	@bench/kernel.sh --build $(BUILD); status=$$?; $(MAKE) $(QUIET) hand-back; exit $$status

# libFuzzer comes with clang; what is fuzzed is built with it as well.
fuzz: FUZZ_SECONDS ?= 600
fuzz:
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh
fuzzers: $(FUZZ_BIN)
$(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/libcli.a $(BUILD)/libktrxer.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(KT_CFLAGS) $(CFLAGS) -I. -fsanitize=fuzzer $(LDFLAGS) -o $@ $< $(BUILD)/libcli.a \
		$(BUILD)/libktrxer.a $(LDLIBS) -lm

# --- other compilers and machines ----------------------------------------------------

# Without libpcap and libbpf, as a small router would have it.
MULTIARCH = $(shell gcc -print-multiarch)
musl:
	@$(MAKE) $(QUIET) CC=musl-gcc BARE=1 STATIC=1 BUILD=$(BUILD)/musl \
		CFLAGS="-Os -Wno-format-truncation -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH)" \
		$(BUILD)/musl/ktrxer test-programs
	@cp $(BUILD)/musl/ktrxer $(BUILD)/musl/ktrxer.stripped && strip $(BUILD)/musl/ktrxer.stripped
	@echo "musl, static, stripped: $$(stat -c %s $(BUILD)/musl/ktrxer.stripped) bytes"

CROSS := aarch64-linux-gnu mipsel-linux-gnu
cross: $(CROSS:%=cross-%)
cross-%:
	@$(MAKE) $(QUIET) CC=$*-gcc AR=$*-ar LD=$*-ld BARE=1 BUILD=$(BUILD)/$* all test-programs

clang:
	@$(MAKE) $(QUIET) CC=clang BUILD=$(BUILD)/clang tests

# --- installing -----------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(COMPLETIONDIR)
	install -m 755 $(BUILD)/ktrxer $(DESTDIR)$(BINDIR)/
	install -m 644 include/ktrxer.h $(DESTDIR)$(INCLUDEDIR)/
	install -m 644 $(BUILD)/libktrxer.a $(DESTDIR)$(LIBDIR)/
	install -m 755 $(BUILD)/libktrxer.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/
	ln -sf libktrxer.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libktrxer.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LDLIBS)|' lib/libktrxer.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/libktrxer.pc
	for m in man/*.[1-9]; do s=$${m##*.}; install -d $(DESTDIR)$(MANDIR)/man$$s; \
		install -m 644 $$m $(DESTDIR)$(MANDIR)/man$$s/; done
	$(BUILD)/ktrxer completion bash > $(DESTDIR)$(COMPLETIONDIR)/ktrxer

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/ktrxer $(DESTDIR)$(INCLUDEDIR)/ktrxer.h $(DESTDIR)$(LIBDIR)/libktrxer.a \
		$(DESTDIR)$(LIBDIR)/libktrxer.so $(DESTDIR)$(LIBDIR)/libktrxer.so.$(SOVERSION) \
		$(DESTDIR)$(LIBDIR)/pkgconfig/libktrxer.pc $(DESTDIR)$(COMPLETIONDIR)/ktrxer \
		$(foreach m,$(wildcard man/*.[1-9]),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))

clean:
	rm -rf $(BUILD) out

# --- the source ------------------------------------------------------------------------

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

lint:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
	shellcheck $$(git ls-files '*.sh' .ci/run)
