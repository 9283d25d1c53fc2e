/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev run`: those of a VM, which are a machine file's members too, and those of
 * the machine. */
#include "cli/run/run_table.h"

#include "cli/run/run.h"
#include "cli/settings.h"
#include "hypervisor/vm.h"
#include "image/image.h"

#define WAIT_MAX 1000000u

/* GUEST_TSC_FREQ counts MHz, and TSC_SCALE has eight bits above the point. */
#define TSC_KHZ_MIN 1000u
#define TSC_KHZ_MAX 10000000u

enum { GROUP_VM, GROUP_SEV, GROUP_MACHINE, GROUP_OUTPUT };

static const struct option_group groups[] = {
    [GROUP_VM] = {"vm", "a VM (also the members of a machine file's \"vms\")", "A guest"},
    [GROUP_SEV] = {"sev", "its encryption and its owner (members of \"vms\", too)",
                   "Its encryption and its owner"},
    [GROUP_MACHINE] = {"machine", "the machine", "The machine"},
    [GROUP_OUTPUT] = {"output", "what is printed and written", "What is printed and written"},
};

#define VM_IDS                                                                                     \
    RUN_KERNEL, RUN_INITRD, RUN_APPEND, RUN_FIRMWARE, RUN_KERNEL_HASHES, RUN_MEMORY, RUN_CPUS,     \
        RUN_MODE, RUN_POLICY, RUN_FEATURES, RUN_TSC_FREQUENCY, RUN_OWNER_SECRET,                   \
        RUN_OWNER_SECRET_GUID, RUN_OWNER_ROOT, RUN_OWNER_DIR, RUN_DISK, RUN_DISK_READ_ONLY,        \
        RUN_VIRTIO_CONSOLE, RUN_DEVICE, RUN_STRICT, RUN_TAMPER, RUN_NAME

static const struct option_choice devices[] = {
    {"none", RUN_NO_DEVICE, false}, {"pc-testdev", RUN_TESTDEV, false}, {NULL, 0, false}};

static const struct option_choice clocks[] = {
    {"wall", RUN_CLOCK_WALL, false}, {"virtual", RUN_CLOCK_VIRTUAL, false}, {NULL, 0, false}};
static const struct option_choice engines[] = {{"auto", CPU_ENGINE_AUTO, false},
                                               {"interpreter", CPU_ENGINE_INTERPRETER, false},
                                               {"jit", CPU_ENGINE_JIT, false},
                                               {NULL, 0, false}};

/* The guest's paravirtual clock counts seconds in 32 bits. */
#define TIME_SHOULD                                                                                \
    "seconds since 1970, at most 4294967295 (in 2106): the guest's paravirtual clock has 32 bits"

static bool parse_time(const char *text, u64 *out)
{
    const char *end;
    return option_digits(text, out, &end) && !*end && *out <= UINT32_MAX;
}

// clang-format off
static const struct option_row rows[] = {
    [RUN_KERNEL] = {"kernel", OPTION_FILE, "FILE", "bzImage, vmlinux, ELF or multiboot kernel",
        .man = "A Linux bzImage or vmlinux, a 64-bit ELF program, a multiboot 1 image, or an ELF file with a PVH entry.\n"
        "A file with such an entry is started there if it is not encrypted or has 32 bits; an encrypted vmlinux is started\n"
        "by Linux's 64-bit boot protocol."},
    [RUN_INITRD] = {"initrd", OPTION_FILE, "FILE", "initramfs, or a multiboot or PVH module",
        "The initramfs, or the module of a multiboot or PVH image.", .needs = OPTION_IDS(RUN_KERNEL)},
    [RUN_APPEND] = {"append", OPTION_TEXT, "TEXT", "the kernel's command line", "The kernel's command line.", .empty = true,
        .needs = OPTION_IDS(RUN_KERNEL)},
    [RUN_FIRMWARE] = {"firmware", OPTION_FILE, "FILE", "a flash image, such as OVMF's, that starts the kernel",
        .man = "A flash image that ends at 4 GiB, such as OVMF's, in which the guest begins.\n"
        "It asks for kernel, initramfs and command line by fw_cfg and starts them; without a kernel it looks for a disk.\n"
        "What is launched, and measured, is the image, under\n.Cm sev-es\nand\n.Cm sev-snp\n"
        "the processors' registers as QEMU has them, and under\n.Cm sev-snp\nwhat the image's metadata says;\n"
        ".Ic softsev owner measure --firmware\nwith\n.Fl -cpu Cm milan ,\nor what else the machine is, has the digest.\n"
        "The kernel is measured only with\n.Fl -kernel-hashes .\n"
        "What firmware of a DEBUG build writes to port 0x402 is in\n.Fl -trace Cm device ."},
    [RUN_KERNEL_HASHES] = {"kernel-hashes", OPTION_FLAG, NULL, "the firmware measures and starts only this kernel",
        "With\n.Fl -firmware\nthat has a place for them\n.Pq Debian's ovmf-amdsev :\n"
        "hashes of kernel, initramfs and command line are launched too, and the firmware starts nothing else.",
        .needs = OPTION_IDS(RUN_FIRMWARE, RUN_KERNEL), .group = GROUP_SEV},
    [RUN_MEMORY] = {"memory", OPTION_SIZE, "SIZE", "guest memory: MiB, or with K, M or G (default 512M)",
        "Guest memory: a number of MiB, or with a suffix K, M or G.\nDefault 512M.", .min = MIB(1), .max = GIB(512)},
    [RUN_CPUS] = {"cpus", OPTION_NUMBER, "NUMBER", "virtual processors, 1 to 8 (default 1)",
        "Virtual processors, 1 to 8.\nThey take turns on one core of the machine.\nDefault 1.", .min = 1, .max = VM_CPUS_MAX},
    [RUN_MODE] = {"mode", OPTION_CHOICE, "MODE", "none, sev, sev-es or sev-snp (default none)",
        "Whether the guest's memory is encrypted under a key of its own, with\n.Cm sev-es\nits registers too, and with\n"
        ".Cm sev-snp\nnobody else writes its pages either:\n.Cm none , sev , sev-es\nor\n.Cm sev-snp .\nDefault\n.Cm none .",
        .choices = settings_modes, .standard = IMAGE_NONE, .group = GROUP_SEV},
    [RUN_POLICY] = {"policy", OPTION_NUMBER, "NUMBER", "guest policy (sev: 1, sev-es: 5, sev-snp: 0x30000)",
        "The guest policy under SEV.\nDefault 1, no debugging; under\n.Cm sev-es\n5, no debugging and SEV-ES required; under\n"
        ".Cm sev-snp\n0x30000, SMT allowed.", .max = UINT64_MAX, .group = GROUP_SEV},
    [RUN_FEATURES] = {"guest-features", OPTION_PARSED, "NAMES", "SEV_FEATURES, such as secure-tsc (default none)",
        "SEV_FEATURES of the guest, which are measured with its registers: names and numbers with commas between.\nNames are\n"
        ".Cm secure-tsc , debug-swap , vtom , vmgexit-parameter , vmsa-reg-prot , smt-protection , ibpb-on-entry ,\n"
        ".Cm prevent-host-ibs\nand\n.Cm btb-isolation ;\nunder\n.Cm sev-snp\nthe SNP bit is added unless a number stands alone.\n"
        "Under\n.Cm sev-es\nthere are debug-swap, prevent-host-ibs and vmgexit-parameter.\n"
        "A kernel may refuse what it does not know: Linux knows debug-swap from 6.7 and secure-tsc from 6.14 on.\nDefault none.",
        .parse = settings_guest_features, .should = SETTINGS_FEATURES, .words = SETTINGS_FEATURE_WORDS, .group = GROUP_SEV},
    [RUN_TSC_FREQUENCY] = {"tsc-frequency", OPTION_NUMBER, "KHZ", "kHz of a secure TSC (default 1000000)",
        "With the feature\n.Cm secure-tsc :\nhow fast the guest's TSC counts, in kHz.\n"
        "The host asks for it in LAUNCH_START; it is not measured.\nDefault 1000000.",
        .min = TSC_KHZ_MIN, .max = TSC_KHZ_MAX, .needs = OPTION_IDS(RUN_FEATURES), .excludes = OPTION_IDS(RUN_OWNER_SECRET_GUID),
        .group = GROUP_SEV},
    [RUN_OWNER_SECRET] = {"owner-secret", OPTION_FILE, "FILE", "what the owner seals for it (/secret/secret)",
        .man = "What the owner seals for the guest.\nThe guest finds it as the file\n.Pa /secret/secret\nof its initramfs.\nWith\n.Fl -firmware\n"
        "that publishes a place for it\n.Pq Debian's ovmf-amdsev\nit is an entry of OVMF's table of secrets there; see\n"
        ".Fl -secret-guid .\nUnder\n"
        ".Cm sev-snp\nthe launch carries no secrets: softsev-agent, a static program for the initramfs, asks for it.\n"
        "It makes a key, sends it with a report that binds it over the virtio console\n.Pq Pa /dev/hvc0 ,\n"
        "which is then nothing else's, and writes the file; the owner seals the secret to that key only if the guest's report\n"
        "verifies.\nIf none asks, or the owner refuses, the run ends with status 9 or 4.", .group = GROUP_SEV},
    [RUN_OWNER_SECRET_GUID] = {"secret-guid", OPTION_TEXT, "GUID", "with --firmware: its entry (default: a passphrase)",
        .man = "With\n.Fl -firmware :\nthe entry of OVMF's table of secrets that the owner's secret is.\nDefault\n"
        ".Cm " SETTINGS_GUID_PASSPHRASE ",\nwhere a GRUB that is part of such firmware finds the passphrase of an encrypted disk.\n"
        "Linux with\n.Dv CONFIG_EFI_SECRET\nhas each entry as a file in\n.Pa /sys/kernel/security/secrets/coco .",
        .needs = OPTION_IDS(RUN_OWNER_SECRET, RUN_FIRMWARE), .excludes = OPTION_IDS(RUN_OWNER_DIR, RUN_STRICT), .group = GROUP_SEV},
    [RUN_OWNER_ROOT] = {"owner-root", OPTION_FILE, "FILE", "whom the owner trusts (default: its maker)",
        .man = "The root (ASK, ARK; under\n.Cm sev-snp\nX.509 certificates) that the owner trusts.\n"
        "Default: the manufacturer of this platform.", .group = GROUP_SEV},
    [RUN_OWNER_DIR] = {"owner-dir", OPTION_FOLDER, "DIR", "the owner is elsewhere: files go through here",
        "Instead of both: the owner is on another computer, and files pass between.\nInto the directory go\n.Pa chain\n"
        "(the platform's certificates),\n.Pa platform.json\n(API version, build, policy) and, after the launch,\n"
        ".Pa measurement.b64 .\nFrom it come\n.Pa godh.b64\nand\n.Pa session.b64\n(they may lie there beforehand), then\n"
        ".Pa secret-header.b64\nand\n.Pa secret-payload.b64 ,\nas\n.Xr softsev-owner 1\nwrites them.\nUnder\n.Cm sev-snp\n"
        "the agent in the guest begins: the directory gives\n.Pa hello.b64\n(it may lie there beforehand), gets\n"
        ".Pa evidence.b64 ,\nand gives\n.Pa answer.b64 ;\nwhat it has given is taken out.\n"
        "The guest runs meanwhile; its agent waits 15 minutes for an answer.\n"
        "A file counts as soon as it is whole; put copies in place by renaming.",
        .excludes = OPTION_IDS(RUN_OWNER_SECRET, RUN_OWNER_ROOT), .group = GROUP_SEV},
    [RUN_DISK] = {"disk", OPTION_FILE, "FILE", "a raw disk image, as virtio disk", .man = "A raw disk image as a virtio disk."},
    [RUN_DISK_READ_ONLY] = {"disk-read-only", OPTION_FLAG, NULL, "the guest cannot change the disk",
        "The guest cannot change its disk.", .needs = OPTION_IDS(RUN_DISK)},
    [RUN_VIRTIO_CONSOLE] = {"virtio-console", OPTION_FLAG, NULL, "a second console, /dev/hvc0 in the guest",
        .man = "A second console,\n.Pa /dev/hvc0\nin a Linux guest."},
    [RUN_DEVICE] = {"device", OPTION_CHOICE, "DEVICE", "pc-testdev: QEMU's, for hypervisor tests (default none)",
        "One more device.\nDefault\n.Cm none .\n.Cm pc-testdev :\nQEMU's device for programs that test a hypervisor, such as kvm-unit-tests:\n"
        "ports that keep what is written, a port for each interrupt line, and memory behind a device.\n"
        "The debug-exit port 0xf4 is always there.", .choices = devices, .standard = RUN_NO_DEVICE},
    [RUN_STRICT] = {"strict", OPTION_FLAG, NULL, "refuse page states that real hosts let pass",
        .man = "Refuse what the GHCB specification forbids and KVM with QEMU let pass: page state changes with\n"
        "reserved bits, of operations that do not exist or without memory, and GHCBs that are no shared page.\n"
        "The trace says either way what was unusual. For SNP guests.", .group = GROUP_SEV},
    [RUN_TAMPER] = {"tamper", OPTION_FLAG, NULL, "an evil host: one bit of the kernel is wrong",
        "Be an evil host: launch one bit of the kernel wrong, and see the owner refuse; with\n.Fl -firmware ,\n"
        "whose kernel is not launched, hand it out wrong, and see what the firmware does.", .needs = OPTION_IDS(RUN_KERNEL), .group = GROUP_SEV},
    [RUN_NAME] = {"name", OPTION_TEXT, "NAME", "what to call the VM (default vm1)", .man = "What to call the guest."},

    [RUN_MACHINE] = {"machine", OPTION_FILE, "FILE", "several VMs: {\"vms\": [{\"kernel\": ...}, ...]}",
        "Several guests: a JSON object with\n.Dq vms ,\nan array of objects with the options above.\n"
        "Up to 4096 guests; of these as many may be encrypted as the processor has ASIDs for:\n"
        "99 with\n.Cm sev-es\nor\n.Cm sev-snp ,\n410 with\n.Cm sev .\nA guest that sleeps costs no processor time.",
        .group = GROUP_MACHINE, .excludes = OPTION_IDS(VM_IDS)},
    [RUN_CPU] = {"cpu", OPTION_TEXT, "MODEL", "CPU model: milan, genoa,-umip (default: the part)",
        "The processor of the machine:\n.Cm naples , rome , milan , genoa , turin ,\na name that QEMU has for one, such as\n"
        ".Cm EPYC-Milan ,\nor\n.Cm max ,\nwhich shows all that these cores implement.\n"
        "Features follow with commas between,\n.Cm - No to hide one and\n.Cm + No to show one, such as\n.Cm milan,-umip .\n"
        "The cores show that they need no workarounds for weaknesses of a part, which makes guests start sooner;\n"
        ".Cm -exempt\ntakes this away.\n.Ic softsev profiles --cpu\nlists the features.\n"
        "Under SEV the model must be the part that the platform is.\nDefault: that part.",
        .group = GROUP_MACHINE},
    [RUN_STATE] = {"state", OPTION_FOLDER, "DIR", "the platform's identity and store",
        "The platform's identity and store; see\n.Xr softsev 1 .\nA guest without encryption asks for neither.",
        .group = GROUP_MACHINE},
    [RUN_SEED] = {"seed", OPTION_TEXT, "TEXT", "all randomness from it: runs equal to the byte",
        "All randomness comes from it: two runs with equal files, seed and\n.Fl -time\nare equal to the byte.",
        .group = GROUP_MACHINE},
    [RUN_TIME] = {"time", OPTION_PARSED, "SECONDS", "the clock of day at the start, since 1970 (now)",
        "The clock of day at the start, in seconds since 1970; at most 4294967295, in the year 2106, with which the clock ends that\n"
        "guests ask their hypervisor for.", .parse = parse_time, .should = TIME_SHOULD, .group = GROUP_MACHINE},
    [RUN_TRACE] = {"trace", OPTION_PARSED, "WORDS", "print events: all, or such as command,switch,key",
        "Print events of these categories, separated by commas:\n.Cm all ,\nor\n"
        ".Cm command , switch , key , view , page , vm , owner , device .",
        .parse = settings_trace, .should = SETTINGS_TRACE, .words = SETTINGS_TRACE_WORDS, .group = GROUP_OUTPUT},
    [RUN_TRACE_FILE] = {"trace-file", OPTION_FILE, "FILE", "events into a file, not to standard error",
        "Put them into a file instead of standard error.", .output = true, .needs = OPTION_IDS(RUN_TRACE), .group = GROUP_OUTPUT},
    [RUN_TRACE_HASH] = {"trace-hash", OPTION_FLAG, NULL, "print the SHA-256 of all events at the end",
        "Print the SHA-256 of all events at the end.", .group = GROUP_OUTPUT},
    [RUN_RECORD] = {"record", OPTION_FILE, "FILE", "write down console input and when it came",
        "Write down console input and the machine time at which it was given.", .output = true, .group = GROUP_OUTPUT},
    [RUN_REPLAY] = {"replay", OPTION_FILE, "FILE", "console input from such a file, at the same times",
        "Give console input from such a file at the same times; the keyboard is not asked.\nA recording that is cut short is refused.\n"
        "With one seed the run is the same.", .group = GROUP_MACHINE},
    [RUN_DUMP] = {"dump", OPTION_FILE, "FILE", "at the end: DRAM as a probe on the bus reads it",
        "At the end, write all of DRAM as a probe on the bus reads it: a sparse file, or every byte into a pipe or device.", .output = true, .group = GROUP_OUTPUT},
    [RUN_JSON] = {"json", OPTION_FLAG, NULL, "steps, events, consoles, summary as JSON lines",
        "Steps, events, consoles and summary as JSON lines.", .group = GROUP_OUTPUT},
    [RUN_QUIET] = {"quiet", OPTION_FLAG, NULL, "the guests' consoles and nothing else",
        "The guests' consoles and nothing else.", .group = GROUP_OUTPUT, .excludes = OPTION_IDS(RUN_JSON)},
    [RUN_OWNER_WAIT] = {"owner-wait", OPTION_NUMBER, "SECONDS", "at most, for each step of --owner-dir (default 300)",
        "How long each step of an owner elsewhere may take; after that the owner has refused.\nDefault 300.",
        .max = WAIT_MAX, .group = GROUP_MACHINE, .needs_one = OPTION_IDS(RUN_OWNER_DIR, RUN_MACHINE),
        .excludes = OPTION_IDS(RUN_OWNER_SECRET, RUN_OWNER_SECRET_GUID, RUN_OWNER_ROOT)},
    [RUN_LIMIT] = {"limit", OPTION_NUMBER, "SECONDS", "stop after so much machine time, 1 to 1000000",
        "Stop after so much machine time.", .min = 1, .max = WAIT_MAX, .group = GROUP_MACHINE},
    [RUN_CLOCK] = {"clock", OPTION_CHOICE, "WORD", "wall: idle time passes as on the wall; virtual: it is\n"
        "skipped (default: virtual with --seed, --record or\n--replay, otherwise wall)",
        "What machine time goes by.\n.Cm wall :\nthe time on the wall.\n"
        "While all guests idle the program sleeps; a guest that cannot keep up finds that time has passed.\n.Cm virtual :\n"
        "instructions and fixed costs alone; time in which all guests idle is skipped, but for guests that somebody talks to\n"
        "on a terminal.\nDefault: virtual with\n.Fl -seed ,\n.Fl -record\nor\n.Fl -replay ,\notherwise wall.",
        .choices = clocks, .standard = RUN_CLOCK_WALL, .group = GROUP_MACHINE},
    [RUN_ENGINE] = {"engine", OPTION_CHOICE, "WORD", "how the core runs: interpreter, jit, or auto: jit if the\nhost has it (default auto)",
        "How the core runs the guests' instructions.\n.Cm jit :\nwhat runs often is translated into the host's instructions.\n"
        ".Cm interpreter :\nnothing is.\n.Cm auto :\njit, or the interpreter where the host is no x86-64 or allows no executable\n"
        "memory.\nBoth do exactly the same, to the instruction: a run with a seed has the same trace.",
        .choices = engines, .standard = CPU_ENGINE_AUTO, .group = GROUP_MACHINE},
    [RUN_NO_REBOOT] = {"no-reboot", OPTION_FLAG, NULL, "a guest that reboots ends",
        "A guest that reboots ends.\nWithout this option a plain guest starts again in place, from the files as they were read.\n"
        "An encrypted guest always ends, because its owner has to take part in each launch.", .group = GROUP_MACHINE},
};

#define ENCRYPTED (BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES) | BIT(IMAGE_SEV_SNP))

static const struct option_rule rules[] = {
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_OWNER_SECRET, RUN_OWNER_ROOT, RUN_OWNER_DIR), .others = OPTION_IDS(RUN_MODE),
     .values = ENCRYPTED, .why = "only an encrypted guest has an owner who can trust it"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_POLICY), .others = OPTION_IDS(RUN_MODE), .values = ENCRYPTED,
     .why = "only an encrypted guest has a policy"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_FEATURES), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV_ES) | BIT(IMAGE_SEV_SNP), .why = "they are in the VMSA of such guests"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_TSC_FREQUENCY), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "only an SNP guest has a secure TSC"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_STRICT), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "only an SNP guest asks for page states"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_OWNER_SECRET_GUID), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES), .why = "the launch of an SNP guest carries no secret: an agent in the guest asks for it"},
    {.relation = OPTION_NEEDS_ONE, .without = OPTION_IDS(RUN_MACHINE), .others = OPTION_IDS(RUN_KERNEL, RUN_FIRMWARE),
     .why = NULL},
};
// clang-format on

const struct option_table cli_run_vm_table = {
    .command = "a VM",
    .members = true,
    .rows = rows,
    .count = RUN_VM_IDS,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};

const struct option_table cli_run_table = {
    .command = "run",
    .title = "boot guests on a machine with SEV",
    .usage = "softsev run --kernel FILE [OPTIONS]\n"
             "softsev run --machine FILE [OPTIONS]",
    .about = "Boots a guest on a machine with SEV. Ctrl-A x leaves, Ctrl-A n: next console.",
    .groups = groups,
    .group_count = ARRAY_SIZE(groups),
    .rows = rows,
    .count = RUN_IDS,
    .common = OPTION_IDS(RUN_KERNEL, RUN_INITRD, RUN_APPEND, RUN_FIRMWARE, RUN_MEMORY, RUN_CPUS,
                         RUN_MODE, RUN_OWNER_SECRET, RUN_DISK, RUN_MACHINE, RUN_STATE, RUN_TRACE),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
