/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Memory for a ring that other processes can map: two sealed memory files, one
 * for the producer's page and the data, one for the listeners' cursors.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_kmod.h"
#include "receiver.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif

#define PAGE 4096u
#define DEFAULT_BYTES (16u << 20)
#define MIN_UNITS 256u
#define CURSOR_BYTES KT_ALIGN_UP(KT_RING_MAX_CURSORS * sizeof(struct kt_ring_cursor), (size_t)PAGE)

static int make_file(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

/* The size that a ring of this many units maps; 0 if it cannot exist here. */
static size_t ring_map_bytes(u64 n_units)
{
	u64 bytes = PAGE + n_units * KT_RING_UNIT;

	return n_units <= KT_RING_MAX_UNITS && bytes <= SIZE_MAX / 2 ? (size_t)bytes : 0;
}

/* Is this a file in memory that has so many bytes and will keep them? To touch one that is gone would kill us. */
static bool holds(int fd, size_t bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	return seals >= 0 && seals & F_SEAL_SHRINK && !fstat(fd, &st) && st.st_size >= 0 && (u64)st.st_size >= bytes;
}

static int map_both(struct kt_ring_memory *m, int ring_prot)
{
	m->cursor_bytes = CURSOR_BYTES;
	m->shared = mmap(NULL, m->ring_bytes, ring_prot, MAP_SHARED, m->ring_fd, 0);
	m->cursors = mmap(NULL, m->cursor_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->cursor_fd, 0);
	if (m->shared == MAP_FAILED || m->cursors == MAP_FAILED)
		return -errno;
	m->data = (u8 *)m->shared + PAGE;
	return 0;
}

int kt_ring_units(u64 bytes, u32 *n_units, struct ktrxer_err *err)
{
	u64 units = MIN_UNITS, want = bytes ? bytes : DEFAULT_BYTES;

	while (units < KT_RING_MAX_UNITS && units * KT_RING_UNIT < want)
		units *= 2;
	if (units * KT_RING_UNIT < want || !ring_map_bytes(units))
		return kt_err(err, EINVAL, "a ring of %llu bytes is too large; %llu is the most",
			      (unsigned long long)want, (unsigned long long)KT_RING_MAX_UNITS * KT_RING_UNIT);
	*n_units = (u32)units;
	return 0;
}

int kt_ring_memory_new(struct kt_ring_memory *m, u64 bytes, struct ktrxer_err *err)
{
	int ret;

	memset(m, 0, sizeof(*m));
	m->ring_fd = m->cursor_fd = -1;
	m->shared = MAP_FAILED;
	m->cursors = MAP_FAILED;
	ret = kt_ring_units(bytes, &m->n_units, err);
	if (ret)
		return ret;
	ret = -ENOMEM;
	m->ring_bytes = ring_map_bytes(m->n_units);
	m->ring_fd = make_file("ktrxer-ring", m->ring_bytes);
	m->cursor_fd = make_file("ktrxer-cursors", CURSOR_BYTES);
	if (m->ring_fd >= 0 && m->cursor_fd >= 0)
		ret = map_both(m, PROT_READ | PROT_WRITE);
	/* From here on only our mapping writes: a listener could open the ring's file again, not read-only. */
	if (!ret && (fcntl(m->ring_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) ||
		     fcntl(m->cursor_fd, F_ADD_SEALS, F_SEAL_SEAL)))
		ret = -errno;
	/* Have the pages now: later there is nobody to tell that memory ran out. */
	if (!ret && (madvise(m->shared, m->ring_bytes, MADV_POPULATE_WRITE) && errno != EINVAL))
		ret = -errno;
	if (ret) {
		kt_ring_memory_free(m);
		return kt_err(err, ENOMEM, "no memory for a ring of %llu bytes: %s",
			      (unsigned long long)(bytes ? bytes : DEFAULT_BYTES), strerror(-ret));
	}
	return 0;
}

int kt_ring_memory_map(struct kt_ring_memory *m, int ring_fd, int cursor_fd, u32 n_units, struct ktrxer_err *err)
{
	int ret = -EINVAL;

	memset(m, 0, sizeof(*m));
	m->ring_fd = ring_fd;
	m->cursor_fd = cursor_fd;
	m->shared = MAP_FAILED;
	m->cursors = MAP_FAILED;
	m->n_units = n_units;
	m->ring_bytes = ring_map_bytes(n_units);
	if (m->ring_bytes && kt_kmod_is_ring(ring_fd) && kt_kmod_is_ring(cursor_fd))
		ret = kt_kmod_ring_map(m);
	else if (m->ring_bytes && holds(ring_fd, m->ring_bytes) && holds(cursor_fd, CURSOR_BYTES))
		ret = map_both(m, PROT_READ);
	if (ret) {
		kt_ring_memory_free(m);
		return kt_err(err, -ret, "the shared ring cannot be mapped: %s", strerror(-ret));
	}
	return 0;
}

int kt_ring_memory_share(const struct kt_ring_memory *m)
{
	char name[64];
	int fd;

	/* A device opened again would be another receiver; and it maps the ring read-only only, by itself. */
	if (kt_kmod_is_ring(m->ring_fd)) {
		fd = fcntl(m->ring_fd, F_DUPFD_CLOEXEC, 0);
	} else {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", m->ring_fd);
		fd = open(name, O_RDONLY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

void kt_ring_memory_free(struct kt_ring_memory *m)
{
	if (m->shared && m->shared != MAP_FAILED)
		munmap(m->shared, m->ring_bytes);
	if (m->cursors && m->cursors != MAP_FAILED)
		munmap(m->cursors, m->cursor_bytes);
	if (m->ring_fd >= 0)
		close(m->ring_fd);
	if (m->cursor_fd >= 0)
		close(m->cursor_fd);
	m->ring_fd = m->cursor_fd = -1;
	m->shared = NULL;
	m->cursors = NULL;
}
