/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * JSON Lines: one value a line, written as it is composed.
 *
 *   json_object(&j, NULL);
 *   json_text(&j, "target", "192.0.2.1");
 *   json_u64(&j, "rtt_ns", 1234);
 *   json_end(&j);
 *
 * Keys are constants and NULL inside arrays. The end of the outermost value
 * ends the line. What is not UTF-8 in a text becomes U+FFFD, so that every line parses.
 */
#ifndef KT_JSON_H
#define KT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"

#define JSON_DEPTH 16

struct json {
	struct out *out;
	unsigned int depth;
	bool more; /* a value stands before this one */
	char close[JSON_DEPTH];
};

void json_init(struct json *j, struct out *out);
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/* Closes the innermost object or array. */
void json_end(struct json *j);

void json_text(struct json *j, const char *key, const char *text); /* NULL: null */
void json_bytes(struct json *j, const char *key, const char *text, size_t n);
void json_hex(struct json *j, const char *key, const uint8_t *data, size_t n);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_s64(struct json *j, const char *key, int64_t v);
void json_double(struct json *j, const char *key, double v); /* not finite: null */
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

#endif
