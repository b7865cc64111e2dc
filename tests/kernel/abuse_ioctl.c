// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every ioctl of both devices with every wrong size, flag, pointer and order, each with its answer, by the
 * 64-bit door and by the 32-bit one. Runs in a guest that has loaded the module.
 */
#include <inttypes.h>
#include <sys/time.h>

#include "abuse_calls.h"

/* Numbers that are nobody's, or the other device's, before SETUP and after. */
static void t_numbers(void)
{
	world();
	for (unsigned int rx = 0; rx < 4; rx++) {
		int fd = rx & 2 ? set_up(rx & 1) : a_open(rx & 1);

		for (unsigned int dir = 0; dir < 4; dir++) {
			for (unsigned int nr = 0; nr < 256; nr++) {
				unsigned int cmd = _IOC(dir, 'K', nr, dir ? 64 : 0);
				bool known = cmd == KTRXER_IOC_INFO;

				for (unsigned int i = 0; i < N_CALLS; i++)
					known |= calls[i].cmd == cmd && calls[i].rx == (rx & 1);
				if (known)
					continue;
				CHECK_EQ(a_call(fd, cmd, NULL), -ENOTTY);
			}
		}
		CHECK_EQ(a_call(fd, _IO('L', 0x71), NULL), -ENOTTY);
		close(fd);
	}
}

/* What every call but INFO and SETUP answers before SETUP, and after one that failed; and SETUP to the second. */
static void t_order(void)
{
	union argument a;

	world();
	for (unsigned int i = 0; i < N_CALLS; i++) {
		const struct call *c = &calls[i];
		int fd = a_open(c->rx);

		right(c, &a);
		if (c->cmd != KTRXER_IOC_INFO && !is_setup(c)) {
			if (a_call(fd, c->cmd, &a) != -ENXIO)
				TEST_FAIL("%s before SETUP: not ENXIO", c->name);
			right(setup_of(c->rx), &a);
			a.word[3] = 0x7ffffff0; /* ifindex */
			CHECK_EQ(a_call(fd, setup_of(c->rx)->cmd, &a), -ENODEV);
			right(c, &a);
			if (a_call(fd, c->cmd, &a) != -ENXIO)
				TEST_FAIL("%s after a SETUP that failed: not ENXIO", c->name);
		}
		CHECK(mmap(NULL, A_PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENXIO);
		CHECK_EQ(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 1);
		CHECK(read(fd, &a, 8) < 0 && write(fd, &a, 8) < 0 && lseek(fd, 0, SEEK_SET) < 0);
		close(fd);
	}
	for (unsigned int rx = 0; rx < 2; rx++) {
		int fd = set_up(rx);

		right(setup_of(rx), &a);
		CHECK_EQ(a_call(fd, setup_of(rx)->cmd, &a), -EBUSY);
		close(fd);
	}
}

/*
 * Every size. Below what the contract began with: EINVAL. In between, and beyond with zeroes: as
 * good as the right one, and no byte behind the caller's size is touched. Beyond and not zero: E2BIG.
 */
static void one_size(const struct call *c, uint32_t size, bool dirty)
{
	static union argument a;
	uint32_t known = size < 4 ? 4 : size < c->bytes ? size : c->bytes, behind = size < 4 ? 4 : size;
	int fd = ready_for(c), r, want = 0;

	right(c, &a);
	a.size = size;
	memset(a.bytes + known, 0, sizeof(a) - known);
	if (size <= A_PAGE)
		memset(a.bytes + behind, 0xa5, sizeof(a) - behind);
	if (dirty && size > c->bytes && size <= A_PAGE)
		a.bytes[size - 1] = 1;
	if (size < c->min || size < 4)
		want = -EINVAL;
	else if (size > A_PAGE || (dirty && size > c->bytes))
		want = -E2BIG;
	r = a_call(fd, c->cmd, &a);
	if (r != want)
		TEST_FAIL("%s of size %u%s: %d, not %d", c->name, size, dirty ? ", not zero behind" : "", r, want);
	for (uint32_t i = behind; i < sizeof(a) && size <= A_PAGE; i++) {
		if (a.bytes[i] != 0xa5)
			TEST_FAIL("%s of size %u wrote at %u", c->name, size, i);
	}
	done_with(c, fd);
}

static void t_sizes(void)
{
	static const uint32_t large[] = { A_PAGE - 1, A_PAGE, A_PAGE + 1, 1u << 16, 0x7fffffff, 0x80000000, ~0u };

	world();
	for (unsigned int i = 0; i < N_CALLS; i++) {
		for (uint32_t size = 0; size < calls[i].bytes + 9; size++) {
			one_size(&calls[i], size, false);
			one_size(&calls[i], size, true);
		}
		for (unsigned int k = 0; k < sizeof(large) / sizeof(large[0]); k++) {
			one_size(&calls[i], large[k], false);
			one_size(&calls[i], large[k], true);
		}
	}
}

/* A page that can be read and written, then `prot` for the next; the argument lies so that `inside` bytes are in the first. */
static void *across(const struct call *c, uint32_t inside, int prot)
{
	static uint8_t *pages;
	union argument a;

	if (!pages)
		pages = mmap(NULL, 3 * A_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED && !mprotect(pages, 3 * A_PAGE, PROT_READ | PROT_WRITE));
	right(c, &a);
	memcpy(pages + A_PAGE - inside, &a, c->bytes);
	CHECK(!mprotect(pages + A_PAGE, 2 * A_PAGE, prot));
	return pages + A_PAGE - inside;
}

static void t_pointers(void)
{
	/* Those of 64-bit kernels lose their upper half on a 32-bit machine, and are bad there too. */
	static const uint64_t bad[] = { 0,
					1,
					8,
					A_PAGE - 4,
					0x7ffffffff000,
					0x8000000000000000,
					0xffff888000000000,
					0xffffffff81000000,
					(uint64_t)-4096,
					(uint64_t)-1 };

	world();
	for (unsigned int i = 0; i < N_CALLS; i++) {
		const struct call *c = &calls[i];
		int fd = ready_for(c);

		for (unsigned int k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			if (a_call(fd, c->cmd, (void *)(uintptr_t)bad[k]) != -EFAULT)
				TEST_FAIL("%s at %#" PRIx64 ": not EFAULT", c->name, bad[k]);
		}
		done_with(c, fd);
		/* Cut off at every byte. */
		for (uint32_t inside = 0; inside < c->bytes; inside++) {
			fd = ready_for(c);
			if (a_call(fd, c->cmd, across(c, inside, PROT_NONE)) != -EFAULT)
				TEST_FAIL("%s with %u bytes: not EFAULT", c->name, inside);
			done_with(c, fd);
		}
		/* Readable and not writable: whoever answers cannot. At odd addresses it may be as it likes. */
		fd = ready_for(c);
		if (a_call(fd, c->cmd, across(c, 0, PROT_READ)) != (c->cmd == KTX_IOC_EVENTFD ? 0 : -EFAULT))
			TEST_FAIL("%s read-only: not EFAULT", c->name);
		done_with(c, fd);
		fd = ready_for(c);
		CHECK_EQ(a_call(fd, c->cmd, across(c, c->bytes + 1, PROT_NONE)), 0);
		done_with(c, fd);
	}
}

/* Every single bit of every right argument: an answer of the contract's. */
static bool is_answer(int r)
{
	switch (-r) {
	case 0:
	case EINVAL:
	case E2BIG:
	case EFAULT:
	case EPROTO:
	case ENODEV:
	case ENOMEM:
	case ENOBUFS:
	case EBADF:
	case EINTR:
	case EMSGSIZE:
	case ENOENT:
	case EAGAIN: /* a flood's completions have no room */
		return true;
	}
	return false;
}

static void wake_up(int sig)
{
}

static void t_bits(void)
{
	/* A bit more in its count, or between its probes, and a flood takes years. */
	struct sigaction wake = { .sa_handler = wake_up };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { 0 };

	sigaction(SIGALRM, &wake, NULL);
	world();
	a_modest();
	for (unsigned int i = 0; i < N_CALLS; i++) {
		for (uint32_t bit = 0; bit < calls[i].bytes * 8; bit++) {
			static union argument a;
			int fd = ready_for(&calls[i]), r;

			right(&calls[i], &a);
			a.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			setitimer(ITIMER_REAL, calls[i].cmd == KTX_IOC_FLOOD ? &often : &never, NULL);
			r = a_call(fd, calls[i].cmd, &a);
			setitimer(ITIMER_REAL, &never, NULL);
			if (!is_answer(r))
				TEST_FAIL("%s, bit %u: %d", calls[i].name, bit, r);
			done_with(&calls[i], fd);
		}
	}
	world();
	a_nothing_left();
}

/* Unknown flags and reserved fields are EINVAL, each bit of them. */
static void refuses(bool rx, uint32_t cmd, uint32_t off, uint32_t from, uint32_t to)
{
	const struct call *c = call_of(rx, cmd);

	for (uint32_t bit = from; bit < to; bit++) {
		static union argument a;
		int fd = ready_for(c), r;

		right(c, &a);
		a.word[off / 4 + bit / 32] |= 1u << bit % 32;
		r = a_call(fd, c->cmd, &a);
		if (r != -EINVAL)
			TEST_FAIL("%s, word at %u, bit %u: %d", c->name, off, bit, r);
		done_with(c, fd);
	}
}

static void t_unknown_bits(void)
{
	world();
	refuses(false, KTX_IOC_SETUP, offsetof(struct ktx_setup, flags), 8, 32);
	refuses(false, KTX_IOC_SUBMIT, offsetof(struct ktx_submit, flags), 1, 32);
	refuses(false, KTX_IOC_SUBMIT, offsetof(struct ktx_submit, reserved), 0, 32);
	refuses(false, KTX_IOC_CANCEL, offsetof(struct ktx_cancel, all), 1, 32);
	refuses(false, KTX_IOC_CANCEL, offsetof(struct ktx_cancel, reserved), 0, 32);
	refuses(false, KTX_IOC_FLOOD, offsetof(struct ktx_flood_abi, flags), 1, 32);
	refuses(false, KTX_IOC_FLOOD, offsetof(struct ktx_flood_abi, dport), 16, 32); /* reserved is its other half */
	refuses(false, KTX_IOC_FLOOD, offsetof(struct ktx_flood_abi, permute), 1, 32);
	refuses(false, KTX_IOC_FLOOD, offsetof(struct ktx_flood_abi, reserved2), 0, 32);
	refuses(true, KRX_IOC_SETUP, offsetof(struct krx_setup, flags), 5, 32);
	refuses(true, KRX_IOC_SETUP, offsetof(struct krx_setup, reserved), 0, 32);
	refuses(true, KRX_IOC_RULES, offsetof(struct krx_rules, reserved), 0, 32);
	refuses(true, KRX_IOC_LISTEN, offsetof(struct krx_listen, lossless), 1, 32);
	refuses(true, KRX_IOC_LISTEN, offsetof(struct krx_listen, reserved), 0, 32);
	refuses(true, KRX_IOC_UNLISTEN, offsetof(struct krx_listen, reserved), 0, 32);
	for (unsigned int rx = 0; rx < 2; rx++) {
		struct ktrxer_eventfd e = { .size = sizeof(e) };
		int fd = set_up(rx);

		for (e.fd = INT32_MIN; e.fd < -1; e.fd = e.fd < -4 ? e.fd / 2 : e.fd + 1)
			CHECK_EQ(a_call(fd, rx ? KRX_IOC_EVENTFD : KTX_IOC_EVENTFD, &e), -EINVAL);
		e.fd = 1000000;
		CHECK_EQ(a_call(fd, rx ? KRX_IOC_EVENTFD : KTX_IOC_EVENTFD, &e), -EBADF);
		close(fd);
	}
}

/* --- The 32-bit door -------------------------------------------------------------------- */

#ifdef __x86_64__
/* As a 32-bit program calls: the same kernel, its compat_ioctl. */
static long ioctl32(int fd, uint32_t cmd, uintptr_t arg)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(54L), "b"((long)fd), "c"((long)cmd), "d"((long)(uint32_t)arg)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* Structures are the same on 32 bits: so are all answers. */
static void t_compat(void)
{
	union argument *low =
		mmap(NULL, sizeof(*low), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	CHECK(low != MAP_FAILED);
	world();
	for (unsigned int i = 0; i < N_CALLS; i++) {
		const struct call *c = &calls[i];
		int fd = ready_for(c);
		long r;

		CHECK_EQ(ioctl32(fd, c->cmd, 0), -EFAULT);
		CHECK_EQ(ioctl32(fd, c->cmd, 0xfffff000), -EFAULT);
		right(c, low);
		r = ioctl32(fd, c->cmd, (uintptr_t)low);
		if (r == -ENOSYS)
			SKIP("this kernel has no 32-bit system calls");
		if (r)
			TEST_FAIL("%s by the 32-bit call: %ld", c->name, r);
		if (is_setup(c)) { /* 64-bit answers arrive whole */
			uint64_t bytes = c->rx ? low->rx.ring_bytes : low->tx.map_bytes;

			CHECK(bytes >= 2 * A_PAGE && bytes < 1 << 20);
		}
		done_with(c, fd);
	}
	munmap(low, sizeof(*low));
}
#else
static void t_compat(void)
{
	SKIP("the 32-bit door is known for amd64 only");
}
#endif

TEST_MAIN(T(t_numbers), T(t_order), T(t_sizes), T(t_pointers), T(t_bits), T(t_unknown_bits), T(t_compat))
