/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Hex text in every shape that people paste, and the sentences for what is wrong. */
#include "lib/hexframe.h"
#include "tests/test.h"

#define BYTES "ffffffffffff0200000000010806"

static struct ktrxer_err err;
static u8 frame[64];

static void t_shapes(void)
{
	static const char *const texts[] = {
		"ffffffffffff0200000000010806",
		"0xFFFFFFFFFFFF0200000000010806\n",
		"ff:ff:ff:ff:ff:ff 02:00:00:00:00:01 08:06",
		"# broadcast\nffff ffff ffff\r\n\n0200 0000 0001 0806 # ARP\n",
		"00000000: ffff ffff ffff 0200 0000 0001 0806       ..............\n",
		"00000000: ffff ffff ffff 0200  ........\n00000008: 0000 0001 0806  abcdef\n",
		"00000000  ff ff ff ff ff ff 02 00  00 00 00 01 08 06        |..............|\n0000000e\n",
		"12:00:01.000000 IP 10.0.0.1 > 10.0.0.2: ICMP\n\t0x0000:  ffff ffff ffff 0200 0000 0001 0806\n",
		"\t0x0000:  ffff ffff ffff 0200  ........\n\t0x0008:  0000 0001 0806",
	};
	static const u8 expected[14] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6 };

	for (size_t i = 0; i < KT_ARRAY_LEN(texts); i++) {
		int n = kt_hexframe_parse(frame, sizeof(frame), texts[i], "F", &err);

		if (n != 14)
			TEST_FAIL("row %zu: %d, %s", i, n, err.text);
		CHECK_MEM(frame, expected, 14);
	}
}

static void t_errors(void)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "F: 0 bytes are too few for an Ethernet frame: its header has 14" },
		{ "ff", "F: 1 bytes are too few for an Ethernet frame: its header has 14" },
		{ "fff", "F:1: \"fff\" has an odd number of hex digits" },
		{ "00\nzz", "F:2: \"zz\" is not hexadecimal" },
		{ "00000000: " BYTES "\n00000010: 00", "F:2: offset 0x10, but 0xe bytes were read before" },
		{ "00000000: " BYTES "\n00000000: " BYTES,
		  "F:2: offset 0x0 again: a second frame begins after 0xe bytes; one is allowed" },
		{ "00000000: " BYTES "\nffff", "F:2: a line without an offset within a dump" },
		{ "00000000: ffxx", "F:1: \"xx\" is not hexadecimal" },
		{ BYTES BYTES BYTES BYTES BYTES, "F:1: the frame is longer than 64 bytes" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(rows); i++) {
		CHECK(kt_hexframe_parse(frame, sizeof(frame), rows[i].text, "F", &err) < 0);
		CHECK_STR(err.text, rows[i].message);
	}
	CHECK_EQ(kt_hexframe_read(frame, sizeof(frame), "/nonexistent", &err), -ENOENT);
	CHECK_STR(err.text, "/nonexistent: No such file or directory");
}

TEST_MAIN(T(t_shapes), T(t_errors))
