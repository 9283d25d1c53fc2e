/* SPDX-License-Identifier: Apache-2.0 */
/* Names for the rows of stock_table.c. */
#ifndef SOFTSEV_CLI_STOCK_TABLE_H
#define SOFTSEV_CLI_STOCK_TABLE_H

#include "cli/options.h"

enum stock_action { STOCK_FETCH, STOCK_PACK };

enum stock_option {
    STOCK_OUT = 1,
    STOCK_SUITE,
    STOCK_PACKAGE,
    STOCK_MIRROR,
    STOCK_KEYRING,
    STOCK_INITRD,
    STOCK_BUSYBOX,
    STOCK_MODULES,
    STOCK_ADD,
    STOCK_INIT,
    STOCK_AGENT,
    STOCK_NO_AGENT,
};

#define STOCK_SUITE_DEFAULT   "trixie"
#define STOCK_PACKAGE_DEFAULT "linux-image-cloud-amd64"
#define STOCK_MIRROR_DEFAULT  "http://deb.debian.org/debian"
#define STOCK_KEYRING_DEFAULT "/usr/share/keyrings/debian-archive-keyring.gpg"

#endif
