/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Target expressions, sets, ports and walks: tables for the words, a slow model for the sets. */
#include <inttypes.h>
#include <unistd.h>

#include "core/hash.h"
#include "lib/target.h"
#include "lib/walk.h"
#include "tests/test.h"

static struct ktrxer_err err;

static void format(const struct kt_target *t, char *buf, size_t cap)
{
	const u8 *b = t->addr.bytes;
	int n;

	if (t->addr.version == 4)
		n = snprintf(buf, cap, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else
		n = snprintf(buf, cap, "%x:%x:..:%x:%x", kt_get_be16(b), kt_get_be16(b + 2), kt_get_be16(b + 12),
			     kt_get_be16(b + 14));
	if (t->port)
		snprintf(buf + n, cap - (size_t)n, " %u", t->port);
}

/* Compares all targets, joined by commas. */
static void check_targets(struct kt_targets *t, const char *expected)
{
	char all[400] = "", one[64];

	CHECK_EQ(kt_targets_finish(t, &err), 0);
	for (u64 i = 0; i <= t->last && strlen(all) < 320; i++) {
		struct kt_target target;

		kt_targets_get(t, i, &target);
		format(&target, one, sizeof(one));
		if (i)
			strcat(all, ",");
		strcat(all, one);
	}
	CHECK_STR(all, expected);
	kt_targets_free(t);
}

static void t_expressions(void)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "192.0.2.3/30", "192.0.2.0,192.0.2.1,192.0.2.2,192.0.2.3" },
		{ "10.0.0.1-3", "10.0.0.1,10.0.0.2,10.0.0.3" },
		{ "10.0.0.255-10.0.1.1", "10.0.0.255,10.0.1.0,10.0.1.1" },
		{ "255.255.255.254/31", "255.255.255.254,255.255.255.255" },
		{ "2001:db8::1", "2001:db8:..:0:1" },
		{ "2001:db8::fffe/127", "2001:db8:..:0:fffe,2001:db8:..:0:ffff" },
		{ "2001:db8::ffff-2001:db8::1:0", "2001:db8:..:0:ffff,2001:db8:..:1:0" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(rows); i++) {
		struct kt_targets t;

		kt_targets_init(&t);
		CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, rows[i].text, NULL, &err), 0);
		check_targets(&t, rows[i].expected);
	}
}

static void t_bad_expressions(void)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "10.0.0.0/33", "F:7: \"10.0.0.0/33\": prefix length must be 0 to 32" },
		{ "::/129", "F:7: \"::/129\": prefix length must be 0 to 128" },
		{ "10.0.0.0/", "F:7: \"10.0.0.0/\": prefix length must be 0 to 32" },
		{ "10.0.0.0/+8", "F:7: \"10.0.0.0/+8\": prefix length must be 0 to 32" },
		{ "10.0.0.9-3", "F:7: \"10.0.0.9-3\": the range ends before it begins" },
		{ "10.0.0.9-300", "F:7: \"10.0.0.9-300\": the last number of a short range is at most 255" },
		{ "10.0.0.9-::1",
		  "F:7: \"10.0.0.9-::1\": a range cannot begin in IPv4 and end in IPv6 or the other way round" },
		{ "10.0.0.9-x", "F:7: \"10.0.0.9-x\": behind the \"-\" stands no address" },
		{ "10.0.0.0/8-9",
		  "F:7: \"10.0.0.0/8-9\": is it a prefix or a range? Write ADDRESS/LENGTH or ADDRESS-ADDRESS" },
		{ "::/63", "F:7: \"::/63\": more than 2^64 addresses; the largest IPv6 prefix is /64" },
	};
	static const char *const others[] = { "",  "10.0.0", "10.0.0.256",	"example.org",
					      "-", "/",	     "1.2.3.4 5.6.7.8", "::g" };
	struct kt_targets t;

	kt_targets_init(&t);
	for (size_t i = 0; i < KT_ARRAY_LEN(rows); i++) {
		CHECK(kt_targets_add(&t, KT_TARGET_INCLUDE, rows[i].text, "F:7", &err) < 0);
		CHECK_STR(err.text, rows[i].message);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(others); i++)
		CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, others[i], NULL, &err), -EINVAL);
	CHECK_EQ(kt_targets_finish(&t, &err), -ENOENT);
	CHECK_STR(err.text, "no targets are named");
	kt_targets_free(&t);
}

static void t_deny_allow_and_overlap(void)
{
	struct kt_targets t;

	kt_targets_init(&t);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "10.0.0.0/29", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "10.0.0.4-12", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "::5", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_DENY, "10.0.0.2-4", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_DENY, "10.0.0.11", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_DENY, "0.0.0.0-10.0.0.0", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_ALLOW, "10.0.0.0-11", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_ALLOW, "::/0", NULL, &err), 0);
	check_targets(&t, "10.0.0.1,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.9,10.0.0.10,0:0:..:0:5");

	kt_targets_init(&t);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "224.1.2.3", NULL, &err), 0);
	CHECK_EQ(kt_targets_add_default_deny(&t, &err), 0);
	CHECK_EQ(kt_targets_finish(&t, &err), -ENOENT);
	CHECK_STR(err.text, "all targets are denied by the allow and deny lists");
	kt_targets_free(&t);
}

static void t_whole_internet(void)
{
	struct kt_targets t;
	struct kt_target target;

	kt_targets_init(&t);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "0.0.0.0/0", NULL, &err), 0);
	CHECK_EQ(kt_targets_add_default_deny(&t, &err), 0);
	CHECK_EQ(kt_targets_set_ports(&t, "80,443", &err), 0);
	CHECK_EQ(kt_targets_finish(&t, &err), 0);
	CHECK(t.last + 1 == 2 * ((224ull - 1) << 24));
	kt_targets_get(&t, t.last, &target);
	CHECK_EQ(kt_get_be32(target.addr.bytes), 0xdfffffff);
	CHECK_EQ(target.port, 443);
	kt_targets_free(&t);
}

static void t_largest_sets(void)
{
	struct kt_targets t;
	struct kt_target target;

	kt_targets_init(&t);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "2001:db8::/64", NULL, &err), 0);
	CHECK_EQ(kt_targets_finish(&t, &err), 0);
	CHECK(t.last == UINT64_MAX);
	kt_targets_get(&t, t.last, &target);
	CHECK_EQ(target.addr.bytes[15], 0xff);
	CHECK_EQ(target.addr.bytes[7], 0);
	kt_targets_free(&t);

	kt_targets_init(&t);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "2001:db8::/64", NULL, &err), 0);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "10.0.0.1", NULL, &err), 0);
	CHECK_EQ(kt_targets_finish(&t, &err), -ERANGE);
	kt_targets_free(&t);

	kt_targets_init(&t);
	CHECK_EQ(kt_targets_add(&t, KT_TARGET_INCLUDE, "2001:db8::/64", NULL, &err), 0);
	CHECK_EQ(kt_targets_set_ports(&t, "1-2", &err), 0);
	CHECK_EQ(kt_targets_finish(&t, &err), -ERANGE);
	CHECK_STR(err.text, "more than 2^64 targets (addresses times ports)");
	kt_targets_free(&t);
}

/* Random lists over a small space against one bit per address. */
static void t_sets_against_a_model(void)
{
	u64 rng = 3;

	for (int round = 0; round < 400; round++) {
		bool in[3][256] = { { false } };
		struct kt_targets t;
		u64 next = 0;
		int ret;

		kt_targets_init(&t);
		for (int k = 0; k < 12; k++) {
			int list = (int)(kt_hash_next(&rng) % 4) % 3;
			unsigned int a = kt_hash_next(&rng) % 256, b = a + kt_hash_next(&rng) % 40;
			char text[64];

			b = b > 255 ? 255 : b;
			snprintf(text, sizeof(text), "10.9.8.%u-%u", a, b);
			CHECK_EQ(kt_targets_add(&t, (enum kt_target_list)list, text, NULL, &err), 0);
			for (unsigned int i = a; i <= b; i++)
				in[list][i] = true;
		}
		for (int i = 0; i < 256; i++)
			in[0][i] = in[0][i] && (in[1][i] || !t.lists[KT_TARGET_ALLOW].n) && !in[2][i];
		ret = kt_targets_finish(&t, &err);
		for (int i = 0; i < 256; i++) {
			struct kt_target target;

			if (!in[0][i])
				continue;
			CHECK_EQ(ret, 0);
			kt_targets_get(&t, next++, &target);
			CHECK_EQ(target.addr.bytes[3], i);
		}
		CHECK(next ? t.last == next - 1 : ret == -ENOENT);
		kt_targets_free(&t);
	}
}

static void t_ports(void)
{
	static const char *const bad[] = { "", "80,", ",80", "65536", "80-", "90-80", "80 81", "-5", "80;81", "1e3" };
	struct kt_portset s;

	CHECK_EQ(kt_portset_parse(&s, "443,80,8000-8010,8005-8011,0,65535", &err), 0);
	CHECK_EQ(s.n, 16);
	CHECK_EQ(kt_portset_get(&s, 0), 0);
	CHECK_EQ(kt_portset_get(&s, 1), 80);
	CHECK_EQ(kt_portset_get(&s, 2), 443);
	CHECK_EQ(kt_portset_get(&s, 3), 8000);
	CHECK_EQ(kt_portset_get(&s, 14), 8011);
	CHECK_EQ(kt_portset_get(&s, 15), 65535);
	CHECK_EQ(kt_portset_parse(&s, "0-65535", &err), 0);
	CHECK_EQ(s.n, 65536);
	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++)
		CHECK_EQ(kt_portset_parse(&s, bad[i], &err), -EINVAL);
	CHECK_STR(err.text, "ports \"1e3\": \"e3\" is not understood; write 80,443,8000-8010");
}

static char path[] = "/tmp/ktrxer-target-XXXXXX";

static void write_file(const char *text)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), (long long)strlen(text));
	close(fd);
}

static void t_files(void)
{
	char expected[200];
	struct kt_targets t;
	int ret;

	write_file("# hosts\n\n 192.0.2.1  # one\r\n192.0.2.8/31\n192.0.2.1");
	kt_targets_init(&t);
	ret = kt_targets_add_file(&t, KT_TARGET_INCLUDE, path, &err);
	unlink(path);
	CHECK_EQ(ret, 0);
	check_targets(&t, "192.0.2.1,192.0.2.8,192.0.2.9");

	write_file("192.0.2.1\n10.0.0.0/33\n");
	kt_targets_init(&t);
	ret = kt_targets_add_file(&t, KT_TARGET_INCLUDE, path, &err);
	unlink(path);
	CHECK_EQ(ret, -EINVAL);
	snprintf(expected, sizeof(expected), "%s:2: \"10.0.0.0/33\": prefix length must be 0 to 32", path);
	CHECK_STR(err.text, expected);
	CHECK_EQ(kt_targets_add_file(&t, KT_TARGET_DENY, "/nonexistent/list", &err), -ENOENT);
	CHECK_STR(err.text, "/nonexistent/list: No such file or directory");
	kt_targets_free(&t);
}

/* Every shard of every small split, sequential and random: disjoint and complete. */
static void t_shards(void)
{
	for (u32 n_shards = 1; n_shards <= 9; n_shards++) {
		for (u64 n = 1; n <= 40; n++) {
			u8 seen[40] = { 0 };

			for (u32 shard = 0; shard < n_shards; shard++) {
				struct kt_walk_opts o = { n % 2 == 0, 77, shard, n_shards };
				struct kt_walk w;
				u64 v, count = 0;

				CHECK_EQ(kt_walk_init(&w, &o, n - 1, 0, &err), 0);
				for (; kt_walk_next(&w, &v); count++) {
					CHECK(v < n);
					CHECK_EQ(seen[v]++, 0);
				}
				CHECK_EQ(count, kt_walk_count(&w));
			}
			for (u64 i = 0; i < n; i++)
				CHECK_EQ(seen[i], 1);
		}
	}
}

static void t_resume_anywhere(void)
{
	struct kt_walk_opts o = { true, 12345, 1, 3 };
	struct kt_walk whole;
	u64 order[334], v;
	unsigned int n = 0;

	CHECK_EQ(kt_walk_init(&whole, &o, 999, 5, &err), 0);
	while (kt_walk_next(&whole, &v))
		order[n++] = v;
	CHECK_EQ(n, 333);
	for (unsigned int stop = 0; stop <= n; stop++) {
		struct kt_walk_opts none = { 0 };
		struct kt_walk a, b;
		char text[400];

		CHECK_EQ(kt_walk_init(&a, &o, 999, 5, &err), 0);
		for (unsigned int i = 0; i < stop; i++)
			CHECK(kt_walk_next(&a, &v) && v == order[i]);
		CHECK(kt_walk_save(&a, text, sizeof(text)) < (int)sizeof(text));
		CHECK_EQ(kt_walk_init(&b, &none, 999, 5, &err), 0);
		CHECK_EQ(kt_walk_restore(&b, text, "state", &err), 0);
		for (unsigned int i = stop; i < n; i++)
			CHECK(kt_walk_next(&b, &v) && v == order[i]);
		CHECK(!kt_walk_next(&b, &v));
	}
}

static void t_resume_refuses(void)
{
	static const char *const bad[] = {
		"order = random\n",
		"order = backwards\nseed = 1\nshard = 0/1\nlast = 99\ntargets = 5\ngiven = 1\n",
		"order = random\nseed = -1\nshard = 0/1\nlast = 99\ntargets = 5\ngiven = 1\n",
		"order = random\nseed = 1\nshard = 1/1\nlast = 99\ntargets = 5\ngiven = 1\n",
		"order = random\nseed = 1\nshard = 0/1\nlast = 99\ntargets = 5\ngiven = 101\n",
		"nonsense\n",
	};
	struct kt_walk_opts o = { 0 };
	struct kt_walk w;

	CHECK_EQ(kt_walk_init(&w, &o, 99, 5, &err), 0);
	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++)
		CHECK_EQ(kt_walk_restore(&w, bad[i], "state", &err), -EINVAL);
	CHECK_STR(err.text, "state:1: \"nonsense\" is not of the form key = value");
	CHECK_EQ(kt_walk_restore(&w, "order = random\nseed = 1\nshard = 0/1\nlast = 98\ntargets = 5\ngiven = 1\n",
				 "state", &err),
		 -ESTALE);
	o.shard = 3;
	o.n_shards = 3;
	CHECK_EQ(kt_walk_init(&w, &o, 99, 5, &err), -EINVAL);
	CHECK_STR(err.text, "shard 3 of 3 does not exist: shards are numbered 0 to 2");
}

TEST_MAIN(T(t_expressions), T(t_bad_expressions), T(t_deny_allow_and_overlap), T(t_whole_internet), T(t_largest_sets),
	  T(t_sets_against_a_model), T(t_ports), T(t_files), T(t_shards), T(t_resume_anywhere), T(t_resume_refuses))
