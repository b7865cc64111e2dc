/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Captures written and read back; files cut, empty, wrong and huge; a disk that is full. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "lib/pcapfile.h"
#include "lib/pcapfilter.h"
#include "lib/pcapwrite.h"
#include "tests/test.h"

static struct ktrxer_err err;
static char dir[] = "/tmp/ktrxer-pcap-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[4][64];
	static unsigned int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void fill(u8 *data, u32 n, u64 seed)
{
	for (u32 i = 0; i < n; i++)
		data[i] = (u8)(kt_hash_mix64(seed + i / 8) >> (i % 8));
}

static u32 length_of(u64 i)
{
	return 14 + (u32)(kt_hash_mix64(i) % 1500);
}

static struct kt_pcapwrite *begin(const char *path, enum kt_pcapwrite_format format)
{
	struct kt_pcapwrite_opts o = { .format = format, .application = "test", .os = "some", .comment = "a run" };
	struct kt_pcapwrite_interface i = {
		.name = "veth0", .description = "prober", .filter = "icmp", .mac = (const u8 *)"\2\0\0\0\0\1"
	};
	struct kt_pcapwrite *w;

	CHECK_EQ(kt_pcapwrite_open(&w, path, &o, &err), 0);
	CHECK_EQ(kt_pcapwrite_interface(w, &i, &err), 0);
	return w;
}

static int add(struct kt_pcapwrite *w, u64 i, const char *comment)
{
	u8 data[2048];
	struct kt_pcapwrite_packet p = { .data = data, .caplen = length_of(i), .direction = KT_PCAPWRITE_OUT };

	fill(data, p.caplen, i);
	p.wirelen = p.caplen + (u32)(i % 3);
	p.stamp_ns = 1700000000123456789ull + i * 1001;
	p.comment = comment;
	return kt_pcapwrite_packet(w, &p, &err);
}

/* Reads packets as add() wrote them, from the first on; returns how many, *end what came behind. */
static u64 read_back(const char *path, int *end)
{
	struct kt_pcapfile *f;
	struct kt_pcapfile_packet p;
	u8 data[2048];
	u64 n = 0;

	CHECK_EQ(kt_pcapfile_open(&f, path, &err), 0);
	while ((*end = kt_pcapfile_next(f, &p, &err)) == 1) {
		fill(data, length_of(n), n);
		CHECK_EQ(p.caplen, length_of(n));
		CHECK_EQ(p.wirelen, p.caplen + n % 3);
		CHECK(p.stamp_ns == 1700000000123456789ull + n * 1001);
		CHECK_MEM(p.data, data, p.caplen);
		CHECK_EQ(p.number, ++n);
	}
	kt_pcapfile_close(f);
	return n;
}

static void need_pcap(void)
{
#ifndef HAVE_PCAP
	SKIP("this build has no libpcap to read captures with");
#endif
}

static void t_round_trip(void)
{
	need_pcap();
	for (int format = 0; format <= KT_PCAPWRITE_PCAP; format++) {
		struct kt_pcapwrite_statistics st = { 1, 2, 1000, 3, 997 };
		struct kt_pcapwrite *w = begin(path_of("round"), (enum kt_pcapwrite_format)format);
		struct stat s;
		u64 bytes;
		int end;

		for (u64 i = 0; i < 1000; i++)
			CHECK_EQ(add(w, i, i % 2 ? "odd" : NULL), 0);
		CHECK_EQ(kt_pcapwrite_statistics(w, 0, &st, &err), 0);
		bytes = kt_pcapwrite_bytes(w);
		CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
		CHECK_EQ(stat(path_of("round"), &s), 0);
		CHECK_EQ(s.st_size, bytes);
		CHECK_EQ(read_back(path_of("round"), &end), 1000);
		CHECK_EQ(end, 0);
	}
}

static void t_beyond_2038(void)
{
	static const u64 stamp = 2209032000000000001ull; /* in 2040 */

	need_pcap();
	for (int format = 0; format <= KT_PCAPWRITE_PCAP; format++) {
		struct kt_pcapwrite *w = begin(path_of("late"), (enum kt_pcapwrite_format)format);
		struct kt_pcapwrite_packet out = {
			.data = (const u8 *)dir, .caplen = 14, .wirelen = 14, .stamp_ns = stamp
		};
		struct kt_pcapfile_packet in;
		struct kt_pcapfile *f;

		CHECK_EQ(kt_pcapwrite_packet(w, &out, &err), 0);
		CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
		CHECK_EQ(kt_pcapfile_open(&f, path_of("late"), &err), 0);
		CHECK_EQ(kt_pcapfile_next(f, &in, &err), 1);
		CHECK_EQ(in.stamp_ns, stamp);
		kt_pcapfile_close(f);
	}
}

static void t_flush_makes_it_readable(void)
{
	struct kt_pcapwrite *w;
	int end;

	need_pcap();
	w = begin(path_of("flush"), KT_PCAPWRITE_PCAPNG);
	CHECK_EQ(add(w, 0, NULL), 0);
	CHECK_EQ(kt_pcapwrite_flush(w, &err), 0);
	CHECK_EQ(read_back(path_of("flush"), &end), 1);
	CHECK_EQ(end, 0);
	CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
}

static void t_next_file(void)
{
	need_pcap();
	for (int format = 0; format <= KT_PCAPWRITE_PCAP; format++) {
		struct kt_pcapwrite *w = begin(path_of("one"), (enum kt_pcapwrite_format)format);
		int end;

		CHECK_EQ(add(w, 0, NULL), 0);
		CHECK_EQ(kt_pcapwrite_next(w, path_of("two"), &err), 0);
		CHECK_EQ(add(w, 0, NULL), 0);
		CHECK_EQ(add(w, 1, NULL), 0);
		CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
		CHECK_EQ(read_back(path_of("one"), &end), 1);
		CHECK_EQ(read_back(path_of("two"), &end), 2);
	}
}

/* The file may not grow past a limit that lies within a record: what is there afterwards must read without a fault. */
static void t_full_disk(void)
{
	struct rlimit old, small;

	need_pcap();
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (int format = 0; format <= KT_PCAPWRITE_PCAP; format++) {
		for (rlim_t limit = 300000; limit < 300100; limit += 7) {
			struct kt_pcapwrite *w = begin(path_of("full"), (enum kt_pcapwrite_format)format);
			int ret = 0, end;
			u64 n = 0;

			small = old;
			small.rlim_cur = limit;
			CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
			while (!ret && n < 5000)
				ret = add(w, n++, NULL);
			setrlimit(RLIMIT_FSIZE, &old);
			CHECK_EQ(ret, -EFBIG);
			CHECK(strstr(err.text, "File too large; what was written before is whole"));
			err.text[0] = 0;
			CHECK_EQ(add(w, 0, NULL), -EFBIG);
			CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
			CHECK_STR(err.text, "");
			n = read_back(path_of("full"), &end);
			CHECK_EQ(end, 0);
			CHECK(n > 300);
		}
	}
}

static void t_dev_full(void)
{
	struct kt_pcapwrite *w = begin("/dev/full", KT_PCAPWRITE_PCAPNG);

	CHECK_EQ(add(w, 0, NULL), 0);
	CHECK_EQ(kt_pcapwrite_flush(w, &err), -ENOSPC);
	CHECK_STR(err.text, "/dev/full: No space left on device; what was written before is whole");
	CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
	CHECK_EQ(kt_pcapwrite_open(&w, "/nonexistent/f", &(struct kt_pcapwrite_opts){ 0 }, &err), -ENOENT);
	CHECK_STR(err.text, "/nonexistent/f: No such file or directory");
}

/* Cut a good file at every byte: all whole records are read, and no more than one sentence is said. */
static void t_cut_anywhere(void)
{
	struct kt_pcapwrite *w;
	struct stat s;
	u64 most = 0;

	need_pcap();
	w = begin(path_of("cut"), KT_PCAPWRITE_PCAP);
	for (u64 i = 0; i < 3; i++)
		CHECK_EQ(add(w, i, NULL), 0);
	CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
	CHECK_EQ(stat(path_of("cut"), &s), 0);
	for (off_t size = s.st_size; size >= 24; size -= 5) {
		int end;
		u64 n;

		CHECK_EQ(truncate(path_of("cut"), size), 0);
		n = read_back(path_of("cut"), &end);
		most = n > most ? n : most;
		CHECK(n <= most);
		if (size == s.st_size) {
			CHECK(n == 3 && end == 0);
		} else if (end < 0) {
			char expected[40];

			snprintf(expected, sizeof(expected), "cut: record %d: ", (int)n + 1);
			if (!strstr(err.text, expected))
				TEST_FAIL("%s does not say: %s", err.text, expected);
		}
	}
}

static void write_raw(const char *name, const void *data, size_t n)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, data, n), (long long)n);
	close(fd);
}

static void t_bad_files(void)
{
	/* A file is of the byte order of whoever wrote it, here this machine. */
	static const struct {
		u32 magic;
		u16 version[2];
		u32 zone, digits, snaplen, link, record[5];
	} huge = { 0xa1b23c4d, { 2, 4 }, 0, 0, 65535, 1, { 1, 1, 0xfffffff0, 0xfffffff0, 0 } }, /* a record of four gigabytes */
		other_link = { 0xa1b23c4d, { 2, 4 }, 0, 0, 65535, 113, { 0 } };
	struct kt_pcapfile *f;
	struct kt_pcapfile_packet p;

	need_pcap();
	write_raw("empty", "", 0);
	CHECK_EQ(kt_pcapfile_open(&f, path_of("empty"), &err), -EINVAL);
	CHECK(strstr(err.text, "empty: the file is empty, not a capture"));
	write_raw("magic", "this is no capture at all, is it?", 33);
	CHECK_EQ(kt_pcapfile_open(&f, path_of("magic"), &err), -EINVAL);
	CHECK(strstr(err.text, "magic: not a capture that can be read: "));
	write_raw("link", &other_link, sizeof(other_link));
	CHECK_EQ(kt_pcapfile_open(&f, path_of("link"), &err), -EINVAL);
	CHECK(strstr(err.text, "link: its link type is LINUX_SLL; only Ethernet frames can be used"));
	write_raw("huge", &huge, sizeof(huge));
	CHECK_EQ(kt_pcapfile_open(&f, path_of("huge"), &err), 0);
	CHECK_EQ(kt_pcapfile_next(f, &p, &err), -EINVAL);
	CHECK(strstr(err.text, "huge: record 1: "));
	kt_pcapfile_close(f);
	CHECK_EQ(kt_pcapfile_open(&f, path_of("absent"), &err), -ENOENT);
	CHECK(strstr(err.text, "absent: No such file or directory"));
}

static void t_rewind(void)
{
	struct kt_pcapwrite *w;
	struct kt_pcapfile_packet p;
	struct kt_pcapfile *f;

	need_pcap();
	w = begin(path_of("rewind"), KT_PCAPWRITE_PCAPNG);
	CHECK_EQ(add(w, 0, NULL), 0);
	CHECK_EQ(kt_pcapwrite_close(w, &err), 0);
	CHECK_EQ(kt_pcapfile_open(&f, path_of("rewind"), &err), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(kt_pcapfile_next(f, &p, &err), 1);
		CHECK_EQ(p.number, 1);
		CHECK_EQ(kt_pcapfile_next(f, &p, &err), 0);
		CHECK_EQ(kt_pcapfile_rewind(f, &err), 0);
	}
	kt_pcapfile_close(f);
}

static void t_filter(void)
{
	static const u8 arp[60] = { [12] = 8, [13] = 6 }, ip[60] = { [12] = 8, [14] = 0x45, [23] = 1 };
	struct kt_pcapfilter *f;

	need_pcap();
	CHECK_EQ(kt_pcapfilter_new(&f, "icmp", &err), 0);
	CHECK(kt_pcapfilter_match(f, ip, 60, 60));
	CHECK(!kt_pcapfilter_match(f, arp, 60, 60));
	kt_pcapfilter_free(f);
	CHECK_EQ(kt_pcapfilter_new(&f, "icmp and and", &err), -EINVAL);
	CHECK(strstr(err.text, "filter \"icmp and and\": ") && strstr(err.text, "syntax error"));
}

/* First and last make and remove the directory. */
static void t_make_directory(void)
{
	CHECK(mkdtemp(dir));
}

static void t_remove_directory(void)
{
	static const char *const names[] = { "round", "late",  "flush", "one",	"two",	"full",
					     "cut",   "empty", "magic", "link", "huge", "rewind" };

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++)
		unlink(path_of(names[i]));
	CHECK_EQ(rmdir(dir), 0);
}

TEST_MAIN(T(t_make_directory), T(t_round_trip), T(t_beyond_2038), T(t_flush_makes_it_readable), T(t_next_file),
	  T(t_full_disk), T(t_dev_full), T(t_cut_anywhere), T(t_bad_files), T(t_rewind), T(t_filter),
	  T(t_remove_directory))
