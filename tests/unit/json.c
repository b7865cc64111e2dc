/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The JSON writer, tables and units: exact text. */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/json.h"
#include "../../cli/table.h"
#include "../../cli/units.h"

static struct out out;
static struct json j;

static void start(void)
{
	out_open(&out, NULL);
	out.fd = memfd_create("out", MFD_CLOEXEC);
	json_init(&j, &out);
}

static const char *result(void)
{
	static char text[65536];
	ssize_t n;

	out_flush(&out);
	n = pread(out.fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	close(out.fd);
	return text;
}

static void t_nesting(void)
{
	start();
	json_object(&j, NULL);
	json_u64(&j, "a", UINT64_MAX);
	json_s64(&j, "b", INT64_MIN);
	json_array(&j, "c");
	json_bool(&j, NULL, true);
	json_null(&j, NULL);
	json_object(&j, NULL);
	json_end(&j);
	json_array(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_double(&j, "d", 0.5);
	json_double(&j, "e", NAN);
	json_hex(&j, "f", (const uint8_t *)"\x01\xff", 2);
	json_text(&j, "g", NULL);
	json_end(&j);
	json_u64(&j, NULL, 1);
	CHECK_STR(result(), "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":[true,null,{},[]],"
			    "\"d\":0.5,\"e\":null,\"f\":\"01ff\",\"g\":null}\n1\n");
}

static void t_strings(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "\"plain\"\n" },
		{ "q\"b\\", "\"q\\\"b\\\\\"\n" },
		{ "\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\\u007f\"\n" },
		{ "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"\n" },
		{ "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"\n" },
		{ "\xc3", "\"\\ufffd\"\n" }, /* cut off */
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"\n" }, /* longer than need be */
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n" }, /* surrogate */
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n" }, /* beyond the last */
		{ "\xff"
		  "a",
		  "\"\\ufffda\"\n" },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start();
		json_text(&j, NULL, cases[i].in);
		CHECK_STR(result(), cases[i].out);
	}
}

static void t_full(void)
{
	char block[4096] = { 0 };
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		SKIP("no /dev/full here");
	out_open(&out, NULL);
	out.fd = fd;
	out_puts(&out, "x");
	CHECK_EQ(out_flush(&out), -ENOSPC);
	for (int i = 0; i < 100; i++)
		out_write(&out, block, sizeof(block));
	CHECK_EQ(out.err, -ENOSPC);
	close(fd);
}

static void t_large(void)
{
	static char big[3 * OUT_BYTES];
	struct out *o = &out;
	off_t end;

	start();
	memset(big, 'x', sizeof(big));
	out_write(o, "a", 1);
	out_write(o, big, sizeof(big));
	out_write(o, "b", 1);
	CHECK_EQ(out_flush(o), 0);
	end = lseek(o->fd, 0, SEEK_END);
	close(o->fd);
	CHECK_EQ(end, 3 * OUT_BYTES + 2);
}

static void t_table(void)
{
	struct table t;

	start();
	table_init(&t, "name\t>packets\tnote");
	table_row(&t, "%s\t%d\t%s", "eth0", 5, "up");
	table_row(&t, "%s\t%d\t%s", "m\xc3\xbcnchen", 12345678, "down");
	table_end(&t, &out, 2);
	CHECK_STR(result(), "  name      packets  note\n"
			    "  eth0            5  up\n"
			    "  m\xc3\xbcnchen  12345678  down\n");
	start();
	table_init(&t, "\t>");
	table_row(&t, "a\t1");
	table_row(&t, "bbb\t22");
	table_end(&t, &out, 0);
	CHECK_STR(result(), "a     1\nbbb  22\n");
}

static void t_units(void)
{
	char b[UNIT_CHARS];

	CHECK_STR(unit_ns(b, 0), "0 ns");
	CHECK_STR(unit_ns(b, 950), "950 ns");
	CHECK_STR(unit_ns(b, -950), "-950 ns");
	CHECK_STR(unit_ns(b, 1234), "1.23 us");
	CHECK_STR(unit_ns(b, 999600), "1.00 ms");
	CHECK_STR(unit_ns(b, -12345678), "-12.3 ms");
	CHECK_STR(unit_ns(b, 123456789), "123 ms");
	CHECK_STR(unit_ns(b, 61000000000), "61.0 s");
	CHECK_STR(unit_si(b, 5, "pps"), "5 pps");
	CHECK_STR(unit_si(b, 1234, "pps"), "1.23 kpps");
	CHECK_STR(unit_si(b, 999999, "bit/s"), "1 Mbit/s");
	CHECK_STR(unit_si(b, 0.25, "pps"), "0.25 pps");
	CHECK_STR(unit_count(b, 0), "0");
	CHECK_STR(unit_count(b, 123), "123");
	CHECK_STR(unit_count(b, 1234), "1,234");
	CHECK_STR(unit_count(b, UINT64_MAX), "18,446,744,073,709,551,615");
	CHECK_STR(unit_bytes(b, 512), "512 B");
	CHECK_STR(unit_bytes(b, 65536), "64 KiB");
	CHECK_STR(unit_bytes(b, 1572864), "1.5 MiB");
	CHECK_STR(unit_time(b, 1795236300123456789ull), "2026-11-21T04:45:00.123456789Z");
}

TEST_MAIN(T(t_nesting), T(t_strings), T(t_full), T(t_large), T(t_table), T(t_units))
