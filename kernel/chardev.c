// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two devices, and the copying of arguments between the users of their ioctls and the module.
 *
 * Anyone may open them, as /dev/net/tun: SETUP asks for the capabilities, in
 * the user namespace that owns the network namespace. So a container that has its own network
 * can be given the devices without being given the host.
 */
#include <linux/miscdevice.h>
#include <linux/uaccess.h>

#include "kt.h"

static struct miscdevice tx_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KTX_DEVICE,
	.fops = &kt_tx_fops,
	.mode = 0666,
};

static struct miscdevice rx_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KRX_DEVICE,
	.fops = &kt_rx_fops,
	.mode = 0666,
};

int kt_chardev_register(void)
{
	int r = misc_register(&tx_device);

	if (r)
		return r;
	r = misc_register(&rx_device);
	if (r)
		misc_deregister(&tx_device);
	return r;
}

void kt_chardev_unregister(void)
{
	misc_deregister(&rx_device);
	misc_deregister(&tx_device);
}

int kt_arg_get(void *dst, size_t known, size_t min, const void __user *arg)
{
	u32 size;
	int r;

	if (get_user(size, (const u32 __user *)arg))
		return -EFAULT;
	if (size < min || size < sizeof(size))
		return -EINVAL;
	/* No structure will ever be larger, and reading gigabytes for their zeroes helps nobody. */
	if (size > PAGE_SIZE)
		return -E2BIG;
	r = copy_struct_from_user(dst, known, arg, size);
	if (r)
		return r;
	/* Another thread may have changed it in between; what has been checked is what counts. */
	memcpy(dst, &size, sizeof(size));
	return 0;
}

int kt_arg_put(void __user *arg, const void *src, size_t known)
{
	u32 size;

	memcpy(&size, src, sizeof(size));
	return copy_to_user(arg, src, min_t(size_t, size, known)) ? -EFAULT : 0;
}

int kt_arg_info(void __user *arg)
{
	struct ktrxer_abi_info info;
	int r = kt_arg_get(&info, sizeof(info), sizeof(info.size), arg);

	if (r)
		return r;
	info = (struct ktrxer_abi_info){
		.size = info.size,
		.abi = KTRXER_ABI,
		.tx_flags = KTX_SETUP_TAP | KTX_SETUP_ZEROCOPY | KTX_SETUP_FIFO | KTX_SETUP_CPU | KTX_SETUP_QUEUE |
			    KTX_SETUP_NO_SPIN | KTX_SETUP_STAMPS | KTX_SETUP_LAUNCH,
		.rx_flags = KRX_SETUP_INGRESS | KRX_SETUP_PREROUTING | KRX_SETUP_PROMISC | KRX_SETUP_OUTGOING |
			    KRX_SETUP_HW_STAMPS,
		.max_pending = READ_ONCE(kt_max_pending),
		.max_rules = READ_ONCE(kt_max_rules),
		.contexts = kt_ctx_count(),
		.version = KT_VERSION,
	};
	return kt_arg_put(arg, &info, sizeof(info));
}
