/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Port sets: parsing into a bit per port, then ranges, so that order and repetition in the text do not matter. */
#include <stdlib.h>

#include "engine.h"
#include "portset.h"

static int parse_port(const char **text, u32 *port)
{
	const char *c = *text;
	u32 v = 0;

	if (*c < '0' || *c > '9')
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++) {
		v = 10 * v + (u32)(*c - '0');
		if (v > 65535)
			return -EINVAL;
	}
	*text = c;
	*port = v;
	return 0;
}

/* Sets a bit for every port that text names. */
static int parse_bits(u8 bits[8192], const char *text, struct ktrxer_err *err)
{
	const char *c = text;

	for (;;) {
		u32 lo, hi;

		if (parse_port(&c, &lo))
			return kt_err(err, EINVAL, "ports \"%.100s\": at \"%.20s\" a port from 0 to 65535 is expected",
				      text, c);
		hi = lo;
		if (*c == '-') {
			c++;
			if (parse_port(&c, &hi))
				return kt_err(err, EINVAL,
					      "ports \"%.100s\": at \"%.20s\" a port from 0 to 65535 is expected", text,
					      c);
			if (hi < lo)
				return kt_err(err, EINVAL, "ports \"%.100s\": the range %u-%u ends before it begins",
					      text, lo, hi);
		}
		for (u32 p = lo; p <= hi; p++)
			bits[p / 8] |= (u8)(1u << (p % 8));
		if (!*c)
			return 0;
		if (*c != ',')
			return kt_err(err, EINVAL,
				      "ports \"%.100s\": \"%.20s\" is not understood; write 80,443,8000-8010", text, c);
		c++;
	}
}

int kt_portset_parse(struct kt_portset *s, const char *text, struct ktrxer_err *err)
{
	u8 bits[8192] = { 0 };
	int ret = parse_bits(bits, text, err);

	memset(s, 0, sizeof(*s));
	if (ret)
		return ret;
	for (u32 p = 0; p < 65536; p++) {
		if (!(bits[p / 8] & (1u << (p % 8))))
			continue;
		if (s->n_ranges && s->ranges[s->n_ranges - 1].hi + 1u == p) {
			s->ranges[s->n_ranges - 1].hi = (u16)p;
		} else {
			if (s->n_ranges == KT_PORTSET_MAX_RANGES)
				return kt_err(err, EINVAL, "ports \"%.100s…\": more than %d separate ranges", text,
					      KT_PORTSET_MAX_RANGES);
			s->ranges[s->n_ranges].lo = s->ranges[s->n_ranges].hi = (u16)p;
			s->ranges[s->n_ranges].base = s->n;
			s->n_ranges++;
		}
		s->n++;
	}
	return 0;
}

u16 kt_portset_get(const struct kt_portset *s, u32 i)
{
	u32 lo = 0, hi = s->n_ranges - 1;

	while (lo < hi) {
		u32 mid = (lo + hi + 1) / 2;

		if (s->ranges[mid].base <= i)
			lo = mid;
		else
			hi = mid - 1;
	}
	return (u16)(s->ranges[lo].lo + (i - s->ranges[lo].base));
}
