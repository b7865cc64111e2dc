/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Addresses as text, there and back. */
#include <errno.h>

#include "include/ktrxer.h"
#include "tests/test.h"

static void t_there_and_back(void)
{
	static const struct {
		const char *text;
		int version;
		const char *back;
	} cases[] = {
		{ "0.0.0.0", 4, "0.0.0.0" },
		{ "192.0.2.1", 4, "192.0.2.1" },
		{ "255.255.255.255", 4, "255.255.255.255" },
		{ "::", 6, "::" },
		{ "2001:DB8:0:0:0:0:0:1", 6, "2001:db8::1" },
		{ "::ffff:192.0.2.1", 6, "::ffff:192.0.2.1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	struct ktrxer_addr a;
	char buf[46];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ktrxer_addr_parse(&a, cases[i].text))
			TEST_FAIL("%s is refused", cases[i].text);
		CHECK_EQ(a.version, cases[i].version);
		CHECK_STR(ktrxer_addr_format(&a, buf), cases[i].back);
	}
}

static void t_not_addresses(void)
{
	static const char *const bad[] = { "",	  "1",		"1.2.3",  "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ",
					   " ::", "1.2.3.4/32", "::1%lo", "example",   "[::1]",	    "01.2.3.04" };
	struct ktrxer_addr a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ktrxer_addr_parse(&a, bad[i]) != -EINVAL)
			TEST_FAIL("\"%s\" is taken for an address", bad[i]);
}

TEST_MAIN(T(t_there_and_back), T(t_not_addresses))
