/* SPDX-License-Identifier: Apache-2.0 */
/* The actions and options of `softsev guest`. */
#include "cli/stock/stock_table.h"

#include "cli/cli.h"

#define A(action) (1u << STOCK_##action)

// clang-format off
static const struct option_action actions[] = {
    [STOCK_FETCH] = {"fetch", "fetch Debian's kernel and busybox into --out, ready to run",
        .man = "Fetch a stock kernel and busybox from an archive of Debian packages into the "
        "folder\n.Fl -out :\n.Pa vmlinuz , initrd.cpio.gz\nand\n.Pa guest.json ,\n"
        "which says what they are made of.\nA key of\n.Fl -keyring\nmust have signed the archive's "
        "lists, and each file must have the size and the SHA-256 of these lists; nothing else is "
        "used.\nNothing is installed."},
    [STOCK_PACK] = {"pack", "pack an initramfs of a busybox and a kernel's modules",
        .man = "Pack the initramfs\n.Fl -initrd\nof a static busybox, the modules of a kernel that "
        "the first program needs (virtio, SNP, ext4), that program, and files of your own.\n"
        "The same files give the same bytes."},
};

static const struct option_row rows[] = {
    [STOCK_OUT] = {"out", OPTION_FOLDER, "DIR", "where to write vmlinuz and initrd.cpio.gz",
        .man = "The folder to write; it is made if it is missing.", .actions = A(FETCH),
        .required = A(FETCH)},
    [STOCK_SUITE] = {"suite", OPTION_TEXT, "NAME",
        "the release: bookworm or trixie (default " STOCK_SUITE_DEFAULT ")",
        "The release whose packages are taken: bookworm has Linux 6.1, trixie 6.12.\n"
        "Default " STOCK_SUITE_DEFAULT ".", .actions = A(FETCH)},
    [STOCK_PACKAGE] = {"package", OPTION_TEXT, "NAME",
        "the kernel's package, or one that depends on it (default\n" STOCK_PACKAGE_DEFAULT ")",
        "The package of the kernel, or one that depends on it, such as linux-image-amd64.\n"
        "Default " STOCK_PACKAGE_DEFAULT ".", .actions = A(FETCH)},
    [STOCK_MIRROR] = {"mirror", OPTION_TEXT, "URL",
        "the archive (default " STOCK_MIRROR_DEFAULT ")",
        "Where the archive is: http, https or file.\nDefault " STOCK_MIRROR_DEFAULT ".",
        .actions = A(FETCH)},
    [STOCK_KEYRING] = {"keyring", OPTION_FILE, "FILE",
        "keys that may have signed it (default: Debian's)",
        "The OpenPGP keys one of which must have signed the archive's lists.\nDefault\n"
        ".Pa " STOCK_KEYRING_DEFAULT ",\nof Debian's package debian-archive-keyring.",
        .actions = A(FETCH)},
    [STOCK_INITRD] = {"initrd", OPTION_FILE, "FILE", "the initramfs to write",
        "The initramfs to write: a cpio archive, compressed by gzip.", .output = true,
        .actions = A(PACK), .required = A(PACK)},
    [STOCK_BUSYBOX] = {"busybox", OPTION_FILE, "FILE",
        "a static busybox (default /bin/busybox)",
        "A busybox that is linked statically, as Debian's package busybox-static has it.\nDefault\n"
        ".Pa /bin/busybox .", .actions = A(PACK)},
    [STOCK_MODULES] = {"modules", OPTION_FOLDER, "DIR",
        "its modules: /lib/modules/VERSION, or an unpacked package",
        "Where the kernel's modules are: a folder lib/modules/VERSION, or the root of an unpacked "
        "kernel package.", .actions = A(PACK), .required = A(PACK)},
    [STOCK_ADD] = {"add", OPTION_TEXT, "PATH=FILE",
        "add FILE as /PATH of the guest; may be repeated",
        "Add a file at this path of the guest; may be repeated.", .list = true,
        .actions = A(PACK)},
    [STOCK_INIT] = {"init", OPTION_FILE, "FILE",
        "the guest's first program (default: softsev's script)",
        .man = "The guest's first program.\nThe default is a script: it says what it sees of its "
        "encryption, prints the digest of the owner's secret and, under SNP, a report, and powers "
        "off.\nThe words\n.Cm shell , agent\nand\n.Cm root=/dev/...\n"
        "on the kernel's command line change what it does."},
    [STOCK_AGENT] = {"agent", OPTION_FILE, "FILE",
        "softsev-agent (default: the installed one, if any)",
        "The program that asks the owner for the secret under SNP.\n"
        "Default: the one that is installed with softsev, if there is one.",
        .excludes = OPTION_IDS(STOCK_NO_AGENT)},
    [STOCK_NO_AGENT] = {"no-agent", OPTION_FLAG, NULL, "leave softsev-agent out",
        .man = "Leave softsev-agent out."},
};
// clang-format on

const struct option_table cli_stock_table = {
    .command = "guest",
    .title = "fetch a stock guest, or pack an initramfs for one",
    .usage = "softsev guest ACTION [OPTIONS]    softsev guest ACTION --help",
    .about = "Makes what `softsev run` boots: a stock kernel and an initramfs.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
};
