/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The world as core/ sees it: fixed-width types, byte order, 64-bit division
 * and the four memory functions, for user space, the kernel and BPF programs.
 * Core code includes this header and core/ headers only.
 */
#ifndef KT_ENV_H
#define KT_ENV_H

#if defined(__KERNEL__)
#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#elif defined(__bpf__)
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)
#define offsetof(t, m) __builtin_offsetof(t, m)
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if __STDC_HOSTED__
#include <string.h>
#endif
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#endif

/* Whoever has a C library gets its functions, which distributions' builds check (_FORTIFY_SOURCE). */
#if !defined(__KERNEL__) && (defined(__bpf__) || !__STDC_HOSTED__)
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define memcmp __builtin_memcmp
#define memmove __builtin_memmove
#endif

#define KT_NSEC_PER_SEC 1000000000ull

#define KT_LIKELY(x) __builtin_expect(!!(x), 1)
#define KT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define KT_NOINLINE __attribute__((__noinline__))
#define KT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KT_ALIGN_UP(v, a) (((v) + ((a)-1)) & ~((__typeof__(v))(a)-1))

static inline u16 kt_be16(u16 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(v);
#else
	return v;
#endif
}

static inline u32 kt_be32(u32 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(v);
#else
	return v;
#endif
}

static inline u64 kt_be64(u64 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(v);
#else
	return v;
#endif
}

/* Unaligned network-order loads and stores; safe on CPUs that trap. */
static inline u16 kt_get_be16(const void *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return kt_be16(v);
}

static inline u32 kt_get_be32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return kt_be32(v);
}

static inline u64 kt_get_be64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return kt_be64(v);
}

static inline void kt_put_be16(void *p, u16 v)
{
	v = kt_be16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void kt_put_be32(void *p, u32 v)
{
	v = kt_be32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void kt_put_be64(void *p, u64 v)
{
	v = kt_be64(v);
	memcpy(p, &v, sizeof(v));
}

/* Quotient and remainder without libgcc's 64-bit helpers inside the kernel. */
static inline u64 kt_div_rem(u64 n, u64 d, u64 *rem)
{
#if defined(__KERNEL__)
	return div64_u64_rem(n, d, rem);
#else
	*rem = n % d;
	return n / d;
#endif
}

static inline u64 kt_div(u64 n, u64 d)
{
	u64 rem;

	return kt_div_rem(n, d, &rem);
}

#endif
