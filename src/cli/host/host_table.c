/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev host`, and their meaning for the run. */
#include "cli/cli.h"
#include "cli/host/host.h"
#include "cli/identity/profile.h"
#include "cli/settings.h"

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

#define MEMORY_DEFAULT GIB(1)
#define LIMIT_MAX      1000000u

enum { GROUP_HOST, GROUP_MACHINE, GROUP_OUTPUT };

static const struct option_group groups[] = {
    [GROUP_HOST] = {"host", "the host", "The host"},
    [GROUP_MACHINE] = {"machine", "the machine", "The machine"},
    [GROUP_OUTPUT] = {"output", "what is printed and written", "What is printed and written"},
};

// clang-format off
static const struct option_row rows[] = {
    [HOST_KERNEL] = {"kernel", OPTION_FILE, "FILE",
        "the host's kernel: bzImage, vmlinux, ELF or multiboot",
        .man = "The kernel that runs in host mode: a Linux bzImage or vmlinux, a 64-bit ELF "
        "program, a multiboot 1 image, or an ELF file with a PVH entry.", .required = 1},
    [HOST_INITRD] = {"initrd", OPTION_FILE, "FILE",
        "initramfs, or the module of a multiboot kernel",
        .man = "The initramfs, or the module of a multiboot kernel."},
    [HOST_APPEND] = {"append", OPTION_TEXT, "TEXT", "the kernel's command line",
        .man = "The kernel's command line.", .empty = true},
    [HOST_MEMORY] = {"memory", OPTION_SIZE, "SIZE",
        "memory, at most 3G: MiB, or with K, M or G (default 1G)",
        .man = "The machine's memory: a number of MiB, or with a suffix K, M or G, at most 3G, in "
        "steps of 2M.\n"
        "Where the processor has SNP, the board's firmware keeps the last part of it for the RMP.\n"
        "Default 1G.",
        .min = MIB(2), .max = BARE_MEMORY_MAX, .step = MIB(2)},
    [HOST_CPUS] = {"cpus", OPTION_NUMBER, "NUMBER", "cores, 1 to 8 (default 1)",
        .man = "Cores, 1 to 8.\nThey take turns by machine time.\nDefault 1.",
        .min = 1, .max = IMAGE_CPUS_MAX},
    [HOST_DISK] = {"disk", OPTION_FILE, "FILE",
        "raw disk image; also FILE,readonly and FILE,snapshot",
        .man = "A raw disk image, attached as a virtio disk, with the words that\n"
        ".Xr softsev-run 1\nexplains.\nUp to 8 may be given.", .list = true},
    [HOST_NET] = {"net", OPTION_TEXT, "NETWORK",
        "user[,publish=[ADDR:]HOST:GUEST[/udp]]... (default off)",
        .man = "The host's network, as for\n.Xr softsev-run 1 .\n"
        "What comes from it does not repeat, with\n.Fl -seed\neither.\nDefault\n.Cm off ."},
    [HOST_SERIAL] = {"serial", OPTION_FILE, "PLACE",
        "serial port: stdio, FILE, unix:PATH (default stdio)",
        .man = "Where the serial port leads, as for\n.Xr softsev-run 1 .\nDefault\n.Cm stdio .",
        .output = true},
    [HOST_VIRTIO_RNG] = {"virtio-rng", OPTION_FLAG, NULL,
        "add an entropy source, /dev/hwrng in Linux",
        .man = "Add an entropy source,\n.Pa /dev/hwrng\nin Linux.\nWith\n.Fl -seed\n"
        "its bytes come from the seed."},
    [HOST_DEVICE] = {"device", OPTION_CHOICE, "DEVICE",
        "extra device: pc-testdev, QEMU's for tests of hypervisors (default none)",
        .man = "An extra device, as for\n.Xr softsev-run 1 .\nDefault\n.Cm none .",
        .choices = run_devices, .standard = RUN_NO_DEVICE},
    [HOST_CPU] = {"cpu", OPTION_TEXT, "MODEL",
        "CPU model, such as milan or genoa,-umip (default: the platform's part)",
        .man = "The processor, as for\n.Xr softsev-run 1 .\n"
        "It must be the part that the platform is.\nDefault: that part.", .group = GROUP_MACHINE},
    [HOST_PROFILE] = {"profile", OPTION_CHOICE, "NAME",
        "part and firmware, which `softsev profiles` lists",
        .man = "The part and its firmware, which\n.Ic softsev profiles\n"
        "lists; with a state directory, kept for the next time.",
        .choice_at = cli_profile_at, .group = GROUP_MACHINE},
    [HOST_STATE] = {"state", OPTION_FOLDER, "DIR", "folder of the platform's identity and keys",
        .man = "The folder of the platform's identity and keys; see\n.Xr softsev 1 .",
        .group = GROUP_MACHINE},
    [HOST_SEED] = {"seed", OPTION_TEXT, "TEXT",
        "take all randomness from TEXT: a run repeats exactly",
        .man = "Take all randomness from this text: two runs with equal files, seed and\n"
        ".Fl -time\nare equal to the byte.\nWithout\n.Fl -state\nthe platform is made from it, "
        "too, and not kept.", .group = GROUP_MACHINE},
    [HOST_TIME] = {"time", OPTION_PARSED, "SECONDS",
        "time of day at the start, since 1970 (default: now)",
        .man = "The time of day at the start, in seconds since 1970, at most 4294967295.\n"
        "Default: now.",
        .parse = run_parse_time, .should = RUN_TIME_SHOULD, .group = GROUP_MACHINE},
    [HOST_LIMIT] = {"limit", OPTION_NUMBER, "SECONDS",
        "stop after this much machine time, 1 to 1000000",
        .man = "Stop after this much machine time, 1 to 1000000 seconds.",
        .min = 1, .max = LIMIT_MAX, .group = GROUP_MACHINE},
    [HOST_EXPECT] = {"expect", OPTION_TEXT, "TEXT",
        "end well when a console line has TEXT, and badly without one",
        .man = "End with status 0 as soon as a line of the console contains this text, and with "
        "status 9 if the machine ends, or\n.Fl -limit\ncomes, before that.",
        .group = GROUP_MACHINE},
    [HOST_CLOCK] = {"clock", OPTION_CHOICE, "WORD",
        "wall: machine time passes as real time; virtual: idle time is skipped (default: virtual "
        "with --seed, otherwise wall)",
        .man = "How machine time passes, as for\n.Xr softsev-run 1 .\nDefault: virtual with\n"
        ".Fl -seed ,\notherwise wall.",
        .choices = run_clocks, .standard = RUN_CLOCK_WALL, .group = GROUP_MACHINE},
    [HOST_ENGINE] = {"engine", OPTION_CHOICE, "WORD",
        "interpreter, jit, or auto: jit if it can (default auto)",
        .man = "How the cores run, as for\n.Xr softsev-run 1 .\nDefault\n.Cm auto .",
        .choices = run_engines, .standard = CPU_ENGINE_AUTO, .group = GROUP_MACHINE},
    [HOST_NO_REBOOT] = {"no-reboot", OPTION_FLAG, NULL,
        "end when the machine resets, instead of starting again",
        .man = "End when the machine resets, or a core shuts down after a triple fault.\n"
        "Without this option the machine starts again, from the files as they were read.",
        .group = GROUP_MACHINE},
    [HOST_TRACE] = {"trace", OPTION_PARSED, "WORDS",
        "print events: all, or a list as command,switch,key",
        .man = "Print events of these categories, as for\n.Xr softsev-run 1 .",
        .parse = settings_trace, .should = SETTINGS_TRACE, .words = SETTINGS_TRACE_WORDS,
        .group = GROUP_OUTPUT},
    [HOST_TRACE_FILE] = {"trace-file", OPTION_FILE, "FILE",
        "write events to FILE instead of standard error",
        .man = "Write events to this file instead of standard error.",
        .output = true, .needs = OPTION_IDS(HOST_TRACE), .group = GROUP_OUTPUT},
    [HOST_TRACE_HASH] = {"trace-hash", OPTION_FLAG, NULL,
        "print the SHA-256 of all events at the end",
        .man = "Print the SHA-256 of all events at the end.", .group = GROUP_OUTPUT,
        .excludes = OPTION_IDS(HOST_QUIET)},
    [HOST_JSON] = {"json", OPTION_FLAG, NULL, "print steps, events, console, summary as JSON lines",
        .man = "Print steps, events, console and summary as JSON lines.", .group = GROUP_OUTPUT},
    [HOST_GDB] = {"gdb", OPTION_TEXT, "ADDRESS",
        "let GDB debug the cores, host and guests: :PORT or unix:PATH",
        .man = "Let GDB debug the machine: its threads are the cores, in host mode or in the guests "
        "that the host runs.\nA step of VMRUN leads into the guest, and one of an instruction that "
        "is intercepted into the host.\n.Ar ADDRESS\nis as for\n.Xr softsev-run 1 ;\n"
        "whoever connects has the machine, and the guests' memory in plaintext.\nGDB's\n"
        ".Ic monitor info\nsays which world each core is in;\n.Ic monitor world host\n"
        "makes breakpoints count in host mode alone.", .group = GROUP_MACHINE},
    [HOST_GDB_WAIT] = {"gdb-wait", OPTION_FLAG, NULL, "wait for GDB before the first instruction",
        .man = "Wait for GDB, and stop before the host's first instruction.",
        .needs = OPTION_IDS(HOST_GDB), .group = GROUP_MACHINE},
    [HOST_VIEW] = {"view", OPTION_TEXT, "ADDRESS:PORT",
        "show this run as a picture in a browser: 127.0.0.1:PORT",
        .man = "Serve a page that shows this run as it goes, as for\n.Xr softsev-run 1 .",
        .group = GROUP_OUTPUT, .excludes = OPTION_IDS(HOST_QUIET)},
    [HOST_VIEW_KEEP] = {"view-keep", OPTION_FLAG, NULL,
        "keep the page when the machine has ended, until a signal",
        .man = "When the machine has ended, keep the page until a signal comes.",
        .needs = OPTION_IDS(HOST_VIEW), .group = GROUP_OUTPUT,
        .excludes = OPTION_IDS(HOST_QUIET)},
    [HOST_MAP] = {"map", OPTION_FILE, "FILE", "at the end, write whose each frame of memory is",
        .man = "At the end, write a map of memory: under whose key each frame is held, and what "
        "the RMP says of it.\nWith\n.Fl -json\nit is one JSON object.",
        .output = true, .group = GROUP_OUTPUT},
    [HOST_QUIET] = {"quiet", OPTION_FLAG, NULL, "print only the console",
        .man = "Print only the console.", .group = GROUP_OUTPUT, .excludes = OPTION_IDS(HOST_JSON)},
};

static const struct option_rule rules[] = {
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(HOST_SEED), .with = OPTION_IDS(HOST_CLOCK),
     .others = OPTION_IDS(HOST_CLOCK), .values = BIT(RUN_CLOCK_VIRTUAL),
     .why = "by the wall no two runs are equal, and none can be repeated"},
    {.relation = OPTION_NEEDS, .others = OPTION_IDS(HOST_KERNEL)},
};
// clang-format on

const struct option_table cli_host_table = {
    .command = "host",
    .title = "boot a kernel in host mode, on the bare machine",
    .usage = "softsev host --kernel FILE [OPTIONS]",
    .about = "Boots a kernel as the host of a bare machine with SEV: it runs VMRUN itself,\n"
             "and no hypervisor of softsev's is there. Ctrl-A x quits.",
    .groups = groups,
    .group_count = ARRAY_SIZE(groups),
    .rows = rows,
    .count = HOST_IDS,
    .common = OPTION_IDS(HOST_KERNEL, HOST_INITRD, HOST_APPEND, HOST_MEMORY, HOST_CPUS, HOST_CPU,
                         HOST_STATE, HOST_TRACE),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};

/* --- What is to be run ------------------------------------------------------------------------ */

static int choose_disks(struct host_options *o, const struct options *given, struct error *e)
{
    for (size_t i = 0; i < given->list_count; i++) {
        if (given->list_id[i] != HOST_DISK)
            continue;
        if (o->disk_count == BARE_DISKS_MAX)
            return error_set(e, ERROR_USAGE, "more than %u disks; a machine has at most %u",
                             BARE_DISKS_MAX, BARE_DISKS_MAX);
        if (run_parse_disk(given->list[i], &o->disks[o->disk_count++], e))
            return -1;
    }
    return 0;
}

/* Checks that no disk that is written stands there twice. */
static int check_disks(const struct host_options *o, struct error *e)
{
    for (u32 j = 1; j < o->disk_count; j++)
        for (u32 i = 0; i < j; i++) {
            const struct run_disk_options *a = &o->disks[i], *b = &o->disks[j];
            const bool written = !(a->read_only || a->snapshot) || !(b->read_only || b->snapshot);
            if (written && option_one_file(a->path, b->path))
                return error_set(
                    e, ERROR_USAGE,
                    "the machine has the disk %s twice, and writes it; give a copy, or "
                    "',readonly' or ',snapshot' after both",
                    b->path);
        }
    return 0;
}

void host_free_options(struct host_options *o)
{
    for (u32 i = 0; i < o->disk_count; i++)
        free(o->disks[i].path);
}

int host_parse(const struct options *given, struct host_options *o, struct error *e)
{
    const char *const *text = given->text;
    *o = (struct host_options){
        .kernel = text[HOST_KERNEL],
        .initrd = text[HOST_INITRD],
        .append = text[HOST_APPEND],
        .cpu_text = text[HOST_CPU],
        .state = text[HOST_STATE],
        .seed = text[HOST_SEED],
        .expect = text[HOST_EXPECT],
        .serial = text[HOST_SERIAL],
        .virtio_rng = text[HOST_VIRTIO_RNG],
        .memory = options_number(given, HOST_MEMORY, MEMORY_DEFAULT),
        .cpus = (u32)options_number(given, HOST_CPUS, 1),
        .trace = (u32)options_number(given, HOST_TRACE, 0),
        .testdev = options_choice(given, HOST_DEVICE) == RUN_TESTDEV,
        .gdb = text[HOST_GDB],
        .gdb_wait = text[HOST_GDB_WAIT],
        .view = text[HOST_VIEW],
        .view_keep = text[HOST_VIEW_KEEP],
        .map = text[HOST_MAP],
        .json = text[HOST_JSON],
        .quiet = text[HOST_QUIET],
        .no_reboot = text[HOST_NO_REBOOT],
        .limit_given = text[HOST_LIMIT],
        .limit_ns = options_number(given, HOST_LIMIT, 0) * CLOCK_HZ,
        .clock = (enum run_clock)options_number(
            given, HOST_CLOCK, text[HOST_SEED] ? RUN_CLOCK_VIRTUAL : RUN_CLOCK_WALL),
        .engine = (enum cpu_engine)options_number(given, HOST_ENGINE, CPU_ENGINE_AUTO),
    };
    const s64 now = o->seed ? RUN_SEEDED_TIME : (s64)time(NULL);
    o->time_seconds = (s64)options_number(given, HOST_TIME, (u64)now);
    if (choose_disks(o, given, e) || check_disks(o, e) ||
        (text[HOST_NET] && net_parse(text[HOST_NET], &o->net, e)))
        return -1;
    if (text[HOST_PROFILE] && cli_profile_find(text[HOST_PROFILE], &o->profile, e))
        return -1;
    return o->cpu_text ? cli_cpu_parse(o->cpu_text, &o->cpu, e) : 0;
}
