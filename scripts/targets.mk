# What one does with the project, apart from building it.

.PHONY: deps-build deps-run deps-test deps-bench run test check bench fuzz install uninstall clean format lint musl cross tests

deps-build deps-run deps-test deps-bench: deps-%:
	@scripts/deps.sh $*

tests: all $(TEST_BIN)

# A check that needs no root and no network.
check: freestanding tests
	tests/run.sh --build $(BUILD) core unit

fuzz: FUZZ_SECONDS ?= 600
fuzz:
	tests/fuzz/run.sh $(FUZZ_SECONDS)

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

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

lint:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
	shellcheck -x $$(git ls-files '*.sh' .ci/run)
