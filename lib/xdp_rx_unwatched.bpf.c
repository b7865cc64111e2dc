/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The receiving program without those that watch redirection, for kernels without BTF: libbpf wants the kernel's for an object in
 * which anything refers to the kernel's structures, whether that is loaded or not.
 */
#define KT_WITHOUT_BTF
#include "xdp_rx.bpf.c"
