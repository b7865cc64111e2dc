/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Option tables: values of every type, sources, exclusive sets, command lines, config files. */
#include "../test.h"

#include "../../cli/cli.h"
#include "../../cli/config.h"
#include "../../cli/value.h"

struct trial {
	struct common common;
	bool flag;
	u64 count;
	s64 offset;
	u64 size;
	u64 wait;
	struct opt_rate rate;
	u64 interval;
	struct opt_list words;
	const char *name;
	int kind;
	const char *how;
};

static const struct opt trial_options[] = {
	{ "flag", 'f', OPT_FLAG(struct trial, flag), NULL, "a flag" },
	{ "count", 'c', OPT_COUNT(struct trial, count), "N", "a count", "3", .min = 1, .max = 1000 },
	{ "offset", 0, OPT_SIGNED(struct trial, offset), "N", "an offset", .min = (u64)-10, .max = 10 },
	{ "size", 0, OPT_SIZE(struct trial, size), "SIZE", "a size" },
	{ "wait", 'w', OPT_DURATION(struct trial, wait), "TIME", "a wait", "1s", .min = 1000, .max = 3600000000000 },
	{ "rate", 'r', OPT_RATE(struct trial, rate), "RATE", "a rate" },
	{ "interval", 0, OPT_DURATION(struct trial, interval), "TIME", "an interval" },
	{ "word", 0, OPT_LIST(struct trial, words), "TEXT", "a word" },
	{ "name", 'n', OPT_STRING(struct trial, name), "TEXT", "a name" },
	{ "kind", 0, OPT_ENUM(struct trial, kind), "icmp|udp|syn", "a kind", "udp" },
	{ "how", 0, OPT_WORD(struct trial, how), "fast|slow", "how", "slow" },
	{ 0 },
};

static const char *const exclusive[] = { "rate interval", NULL };
static struct trial trial;
static struct optset set;

static void start(void)
{
	opt_free(&set);
	memset(&trial, 0, sizeof(trial));
	memset(&set, 0, sizeof(set));
	set.config = &trial;
	set.exclusive = exclusive;
	opt_add(&set, trial_options);
}

static int parse(int argc, const char *const *argv)
{
	static char *copy[16];

	for (int i = 0; i < argc; i++)
		copy[i] = (char *)(uintptr_t)argv[i];
	copy[argc] = NULL;
	return opt_parse(&set, argc, copy);
}

#define PARSE(...) \
	parse((int)(sizeof((const char *[]){ "x", __VA_ARGS__ }) / sizeof(char *)), \
	      (const char *[]){ "x", __VA_ARGS__ })

static void t_counts(void)
{
	static const struct {
		const char *text;
		int r;
		u64 v;
	} cases[] = {
		{ "0", 0, 0 },
		{ "17", 0, 17 },
		{ "10k", 0, 10000 },
		{ "1.5M", 0, 1500000 },
		{ "4Ki", 0, 4096 },
		{ "1.5Ki", 0, 1536 },
		{ "0.001k", 0, 1 },
		{ "0x1f", 0, 31 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -EINVAL, 0 },
		{ "99999999T", -EINVAL, 0 },
		{ "0.0001k", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ ".5k", -EINVAL, 0 },
		{ "10kk", -EINVAL, 0 },
		{ "10 k", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
	};
	u64 v;

	for (unsigned int i = 0; i < KT_ARRAY_LEN(cases); i++) {
		int r = value_count(cases[i].text, &v);

		if (r != cases[i].r || (!r && v != cases[i].v))
			TEST_FAIL("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long)v);
	}
}

static void t_durations(void)
{
	static const struct {
		const char *text;
		int r;
		u64 v;
	} cases[] = {
		{ "10ms", 0, 10000000 },
		{ "1.5s", 0, 1500000000 },
		{ "100us", 0, 100000 },
		{ "7ns", 0, 7 },
		{ "2h", 0, 7200000000000 },
		{ "1m", 0, 60000000000 },
		{ "1.000000001", 0, 1000000001 },
		{ "0.5ns", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "10 ms", -EINVAL, 0 },
		{ "ms", -EINVAL, 0 },
		{ "999999999h", -EINVAL, 0 },
	};
	u64 v;

	for (unsigned int i = 0; i < KT_ARRAY_LEN(cases); i++) {
		int r = value_duration(cases[i].text, &v);

		if (r != cases[i].r || (!r && v != cases[i].v))
			TEST_FAIL("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long)v);
	}
}

static void t_rates(void)
{
	struct opt_rate r;
	double p;
	u64 v;

	CHECK_EQ(value_rate("10k", &r), 0);
	CHECK(r.num == 10000 && r.den == 1);
	CHECK_EQ(value_rate("0.5", &r), 0);
	CHECK(r.num == 1 && r.den == 2);
	CHECK_EQ(value_rate("30/m", &r), 0);
	CHECK(r.num == 1 && r.den == 2);
	CHECK_EQ(value_rate("1.5Mpps", &r), 0);
	CHECK(r.num == 1500000 && r.den == 1);
	CHECK_EQ(value_rate("2k/s", &r), 0);
	CHECK(r.num == 2000 && r.den == 1);
	CHECK_EQ(value_rate("0", &r), -EINVAL);
	CHECK_EQ(value_rate("10x", &r), -EINVAL);
	CHECK_EQ(value_rate("1/d", &r), -EINVAL);
	CHECK_EQ(value_bitrate("100Mbit", &v), 0);
	CHECK_EQ(v, 100000000);
	CHECK_EQ(value_bitrate("2.5G", &v), 0);
	CHECK_EQ(v, 2500000000);
	CHECK_EQ(value_bitrate("64kbps", &v), 0);
	CHECK_EQ(v, 64000);
	CHECK_EQ(value_bitrate("fast", &v), -EINVAL);
	CHECK_EQ(value_size("2MB", &v), 0);
	CHECK_EQ(v, 2000000);
	CHECK_EQ(value_size("64QB", &v), -EINVAL);
	CHECK_EQ(value_size("64KiB", &v), 0);
	CHECK_EQ(v, 65536);
	CHECK_EQ(value_size("64Ki", &v), 0);
	CHECK_EQ(v, 65536);
	CHECK(!value_probability("1%", &p) && p == 0.01);
	CHECK(!value_probability("0.25", &p) && p == 0.25);
	CHECK_EQ(value_probability("101%", &p), -EINVAL);
	CHECK_EQ(value_probability("-1%", &p), -EINVAL);
	CHECK_EQ(value_probability("nan", &p), -EINVAL);
}

static void t_times(void)
{
	u64 now = 1795236300ull * KT_NSEC_PER_SEC, v; /* 2026-11-21T04:45:00Z */

	setenv("TZ", "UTC", 1);
	CHECK_EQ(value_time("now", now, &v), 0);
	CHECK_EQ(v, now);
	CHECK_EQ(value_time("now+10s", now, &v), 0);
	CHECK_EQ(v - now, 10 * KT_NSEC_PER_SEC);
	CHECK_EQ(value_time("+5ms", now, &v), 0);
	CHECK_EQ(v - now, 5000000);
	CHECK_EQ(value_time("04:46", now, &v), 0);
	CHECK_EQ(v - now, 60 * KT_NSEC_PER_SEC);
	CHECK_EQ(value_time("04:46:01.25", now, &v), 0);
	CHECK_EQ(v - now, 61250000000);
	CHECK_EQ(value_time("04:44", now, &v), 0); /* tomorrow */
	CHECK_EQ(v - now, (86400 - 60) * KT_NSEC_PER_SEC);
	CHECK_EQ(value_time("2026-11-21T04:45:00.5Z", now, &v), 0);
	CHECK_EQ(v - now, 500000000);
	CHECK_EQ(value_time("@1795236301.5", now, &v), 0);
	CHECK_EQ(v - now, 1500000000);
	CHECK_EQ(value_time("@5h", now, &v), -EINVAL);
	CHECK_EQ(value_time("25:00", now, &v), -EINVAL);
	CHECK_EQ(value_time("2026-11-22", now, &v), 0); /* midnight */
	CHECK_EQ(v - now, 19 * 3600 * KT_NSEC_PER_SEC + 900 * KT_NSEC_PER_SEC);
	CHECK_EQ(value_time("tomorrow", now, &v), -EINVAL);
	CHECK_EQ(value_time("", now, &v), -EINVAL);
}

static void t_command_line(void)
{
	start();
	CHECK_EQ(PARSE("-fc5", "one", "--rate=1k", "two", "--name", "x y", "--word=a", "--word", "b", "--", "-z"), 3);
	CHECK_EQ(opt_defaults(&set), 0);
	CHECK_EQ(opt_resolve(&set), 0);
	CHECK(trial.flag);
	CHECK_EQ(trial.count, 5);
	CHECK_EQ(trial.rate.num, 1000);
	CHECK_STR(trial.name, "x y");
	CHECK_EQ(trial.words.n, 2);
	CHECK_STR(trial.words.v[1], "b");
	CHECK_EQ(trial.kind, 1);
	CHECK_STR(trial.how, "slow");
	CHECK_EQ(trial.wait, 1000000000);
	CHECK(opt_given(&set, "rate"));
	CHECK(!opt_given(&set, "wait"));
	start();
	CHECK_EQ(PARSE("--flag=no", "--coun", "7"), 0);
	CHECK(!trial.flag);
	CHECK_EQ(trial.count, 7);
}

static void t_bad_command_lines(void)
{
	static const struct {
		const char *arg[2];
		const char *why;
	} cases[] = {
		{ { "--rate", "10x" },
		  "--rate: \"10x\" is not a rate; allowed: packets per second such as 500, 10k, 1.5M, 30/m" },
		{ { "--count", "0" }, "--count: \"0\" is out of range; allowed: 1 to 1000" },
		{ { "--offset", "-11" }, "--offset: \"-11\" is out of range; allowed: -10 to 10" },
		{ { "--wait", "2h" }, "--wait: \"2h\" is out of range; allowed: 1us to 1h" },
		{ { "--kind", "tcp" }, "--kind: \"tcp\" is not one of its words; allowed: icmp, udp, syn" },
		{ { "--how", "" }, "--how: \"\" is not one of its words; allowed: fast, slow" },
		{ { "--ratte", "1" }, "unknown option --ratte; did you mean --rate?" },
		{ { "--zzzzzz", "1" }, "unknown option --zzzzzz; see --help" },
		{ { "--n", NULL }, "--name needs a value: a name" },
		{ { "--w=5", NULL }, "--w could be --wait or --word; write more of it" },
		{ { "-fQ", NULL }, "unknown option -Q; see --help" },
		{ { "-c", NULL }, "--count needs a value: a count" },
		{ { "--flag=perhaps", NULL }, "--flag: \"perhaps\" is not yes or no; allowed: yes, no" },
	};

	for (unsigned int i = 0; i < KT_ARRAY_LEN(cases); i++) {
		start();
		CHECK_EQ(parse(cases[i].arg[1] ? 3 : 2, (const char *[]){ "x", cases[i].arg[0], cases[i].arg[1] }),
			 -EINVAL);
		CHECK_STR(set.why, cases[i].why);
	}
}

static void t_exclusive(void)
{
	start();
	CHECK_EQ(PARSE("--rate=5", "--interval=1ms"), 0);
	CHECK_EQ(opt_defaults(&set), 0);
	CHECK_EQ(opt_resolve(&set), -EINVAL);
	CHECK_STR(set.why, "--rate and --interval cannot be given together");
	/* The command line outdoes a file. */
	start();
	CHECK_EQ(PARSE("--interval=1ms"), 0);
	CHECK_EQ(opt_set(&set, "rate", "5", OPT_FROM_FILE), 0);
	CHECK_EQ(opt_defaults(&set), 0);
	CHECK_EQ(opt_resolve(&set), 0);
	CHECK_EQ(trial.rate.num, 0);
	CHECK_EQ(trial.interval, 1000000);
}

static void t_sources(void)
{
	start();
	CHECK_EQ(PARSE("--word=c"), 0);
	CHECK_EQ(opt_set(&set, "word", "a", OPT_FROM_SYSTEM), 0);
	CHECK_EQ(opt_set(&set, "name", "system", OPT_FROM_SYSTEM), 0);
	CHECK_EQ(opt_set(&set, "name", "file", OPT_FROM_FILE), 0);
	CHECK_EQ(opt_set(&set, "name", "system", OPT_FROM_SYSTEM), 0);
	CHECK_EQ(trial.words.n, 1);
	CHECK_STR(trial.words.v[0], "c");
	CHECK_STR(trial.name, "file");
}

static int config(const char *text)
{
	static char buf[512];

	snprintf(buf, sizeof(buf), "%s", text);
	return config_read(&set, NULL, "test.conf", buf, strlen(buf), OPT_FROM_FILE);
}

static void t_config(void)
{
	start();
	CHECK_EQ(config("# comment\n\n count = 9 \nname = \" a \\\"b\\\"\\n\"\nword=x\nword = y=z\r\nflag = yes\n"
			"[completion]\njson = yes\n"),
		 0);
	CHECK_EQ(trial.count, 9);
	CHECK_STR(trial.name, " a \"b\"\n");
	CHECK_EQ(trial.words.n, 2);
	CHECK_STR(trial.words.v[1], "y=z");
	CHECK(trial.flag);
}

static void t_bad_config(void)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "\ncount 9\n", "test.conf:2: \"count 9\" is not \"option = value\"" },
		{ "count = 2000", "test.conf:1: --count: \"2000\" is out of range; allowed: 1 to 1000" },
		{ "conut = 1", "test.conf:1: unknown option \"conut\"; did you mean \"count\"?" },
		{ "[complete]\n", "test.conf:1: no command is called \"complete\"; did you mean \"completion\"?" },
		{ "[completion]\njso = yes\n", "test.conf:2: unknown option \"jso\"; did you mean \"json\"?" },
		{ "name = \"abc\n", "test.conf:1: the quote is not closed" },
		{ "name = \"a\" b\n", "test.conf:1: there is text behind the closing quote" },
		{ "name = \"\\x\"\n", "test.conf:1: a backslash stands before n, t, a quote or a backslash only" },
	};

	for (unsigned int i = 0; i < KT_ARRAY_LEN(cases); i++) {
		start();
		CHECK_EQ(config(cases[i].text), -EINVAL);
		CHECK_STR(set.why, cases[i].why);
	}
}

TEST_MAIN(T(t_counts), T(t_durations), T(t_rates), T(t_times), T(t_command_line), T(t_bad_command_lines),
	  T(t_exclusive), T(t_sources), T(t_config), T(t_bad_config))
